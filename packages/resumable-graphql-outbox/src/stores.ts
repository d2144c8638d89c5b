/** Where entries are kept until they are sent, so that a reload loses none. */

/** A mutation that is not yet known to be stored. Plain data. */
export interface Entry<V = any> {
  /** Stays the same, also when it is edited. For lists, and for whoever wants to know the entry again. */
  id: string;
  /** The idempotency key. Another one after it was edited. */
  key: string;
  /** Entries of one lane are sent in the order in which they were added, one after another. */
  lane: string;
  variables: V;
  /** When it was added, in milliseconds by this device's clock; later than what was added before. */
  at: number;
  /** How often it was sent. An earlier try than the last one may have been carried out, though its answer was lost. */
  tries: number;
  /** Why it is not sent any more. It waits for `retry`, `edit` or `discard`; those behind it go on. */
  failure?: Failure | undefined;
}

export interface Failure {
  message: string;
  /** The `extensions.code` of the server's refusal. */
  code?: string | undefined;
}

/** Each entry is kept for itself: several tabs may share a store. */
export interface OutboxStore<V = any> {
  all(): Entry<V>[] | Promise<Entry<V>[]>;
  put(entry: Entry<V>): unknown;
  remove(id: string): unknown;
}

/** For as long as the page lives. */
export function memory<V>(): OutboxStore<V> {
  const kept = new Map<string, Entry<V>>();
  return { all: () => [...kept.values()], put: (entry) => kept.set(entry.id, entry), remove: (id) => kept.delete(id) };
}

/** In `sessionStorage`, for a tab and its reloads, or in `localStorage`, for all tabs. The key is one user's. */
export function webStorage<V>(key: string, storage: Storage = sessionStorage): OutboxStore<V> {
  const prefix = `${key}/`;
  return {
    all: () => Object.keys(storage).filter((name) => name.startsWith(prefix)).map((name) => JSON.parse(storage.getItem(name)!)),
    put: (entry) => storage.setItem(prefix + entry.id, JSON.stringify(entry)),
    remove: (id) => storage.removeItem(prefix + id),
  };
}

/** In IndexedDB, for all tabs and all times. The key is one user's. */
export function indexedDb<V>(key: string, database = 'resumable-graphql-outbox', factory: IDBFactory = indexedDB): OutboxStore<V> {
  let opened: Promise<IDBDatabase> | undefined;
  async function run<T>(mode: IDBTransactionMode, ask: (entries: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    opened ??= new Promise((resolve, reject) => {
      const opening = factory.open(database, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('entries');
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    const transaction = (await opened).transaction('entries', mode);
    const request = ask(transaction.objectStore('entries'));
    // A request can succeed in a transaction that then fails.
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
  return {
    all: () => run('readonly', (entries) => entries.getAll(IDBKeyRange.bound([key], [key, []]))),
    put: (entry) => run('readwrite', (entries) => entries.put(entry, [key, entry.id])),
    remove: (id) => run('readwrite', (entries) => entries.delete([key, id])),
  };
}
