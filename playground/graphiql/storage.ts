/**
 * Where GraphiQL keeps its tabs and its history: in the browser, beside what the chat keeps there.
 *
 * The history keeps the headers of every operation whatever `shouldPersistHeaders` says. They hold bearer tokens, so
 * they are taken out on the way.
 */

/** Before every key of GraphiQL's. */
const NAMESPACE = 'graphiql:';

/** The keys of its history: `{"queries": [{"query": …, "headers": …}]}`, and the same under `favorites`. */
const HISTORY = [`${NAMESPACE}queries`, `${NAMESPACE}favorites`];

const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(NAMESPACE));

export const storage = {
  getItem: (key: string) => localStorage.getItem(key),
  setItem: (key: string, value: string) =>
    localStorage.setItem(key, HISTORY.includes(key) ? withoutHeaders(value) : value),
  removeItem: (key: string) => localStorage.removeItem(key),
  clear: () => keys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return keys().length;
  },
};

function withoutHeaders(history: string): string {
  return JSON.stringify(JSON.parse(history), (key, value) => (key === 'headers' ? undefined : value));
}
