/** Reads an event stream as HTML's standard says. */

export interface StreamEvent {
  type: string;
  data: string;
}

/** The events with data in a stream, and those that have a type of their own: GraphQL over SSE's `complete` has no data. */
export async function* parse(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let wasReturn = false;
  let type = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // What is not ended by an empty line is not complete, and left out.
      if (done) return;
      let text = decoder.decode(value, { stream: true });
      if (!text) continue;
      // The two halves of one end of a line can come apart.
      if (wasReturn && text.startsWith('\n')) text = text.slice(1);
      wasReturn = text.endsWith('\r');
      const lines = (rest + text).split(/\r\n|\n|\r/);
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '') {
          if (type || data.length) yield { type: type || 'message', data: data.join('\n') };
          [type, data] = ['', []];
          continue;
        }
        const [, field, content] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
        if (field === 'event') type = content ?? '';
        if (field === 'data') data.push(content ?? '');
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
