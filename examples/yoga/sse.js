/** Server-sent events with the cursor as `id`, which Yoga's own have not. */

import { GraphQLError } from 'graphql';

import { finished } from './follow.js';

/** In milliseconds. */
const HEARTBEAT = 1_000 * Number(process.env.HEARTBEAT ?? 10);

const HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

/** A plugin of Yoga. */
export const eventStreams = {
  onResultProcess({ result, request, acceptableMediaTypes, setResultProcessor }) {
    if (!acceptableMediaTypes.includes('text/event-stream') || !request.headers.get('accept')?.includes('text/event-stream')) return;
    setResultProcessor((_, { Response, ReadableStream, TextEncoder }) => {
      if (finished.has(request)) return new Response(null, { status: 204 });
      return new Response(streamOf(result, ReadableStream, new TextEncoder()), { headers: HEADERS });
    }, 'text/event-stream');
  },
};

function streamOf(result, ReadableStream, encoder) {
  const results = Symbol.asyncIterator in result ? result[Symbol.asyncIterator]() : [result].values();
  let beat;
  return new ReadableStream({
    start(controller) {
      const sign = () => controller.enqueue(encoder.encode(':\n\n'));
      sign();
      beat = setInterval(sign, HEARTBEAT);
    },
    /** Is called when there is room: a slow client costs no more than one event. */
    async pull(controller) {
      const write = (text) => controller.enqueue(encoder.encode(text));
      const end = () => {
        clearInterval(beat);
        write('event: complete\ndata:\n\n');
        controller.close();
      };
      try {
        const { value, done } = await results.next();
        if (done) return end();
        write(frame(value));
      } catch (cause) {
        // What is no refusal breaks the stream off: the client comes again.
        if (!(cause instanceof GraphQLError)) throw cause;
        write(frame({ errors: [cause] }));
        end();
      }
    },
    cancel() {
      clearInterval(beat);
      return results.return?.();
    },
  });
}

function frame({ data, errors }) {
  const [event] = Object.values(data ?? {});
  return `event: next\n${event ? `id: ${event.cursor}\n` : ''}data: ${JSON.stringify({ data, errors })}\n\n`;
}
