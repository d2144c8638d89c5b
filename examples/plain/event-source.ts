/** A subscription by the `EventSource` of browsers, which resumes by itself. */

/**
 * The address for `new EventSource(…)`. It never changes: after the first event, the browser sends that event's cursor as
 * `Last-Event-ID`, which counts before `after`.
 */
export function addressOf(url: string, query: string, variables: object, connectionId: string): URL {
  const address = new URL(url);
  address.searchParams.set('query', query);
  address.searchParams.set('variables', JSON.stringify(variables));
  // An EventSource cannot send headers.
  address.searchParams.set('extensions', JSON.stringify({ connectionId }));
  return address;
}
