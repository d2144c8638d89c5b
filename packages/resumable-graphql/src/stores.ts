/** Where a cursor is kept, so that the next run of an app goes on where this one was. */

/**
 * Keep the cursor together with what was made of the events up to it. A cursor alone, in an app that forgets its state,
 * would skip what the app no longer has.
 */
export interface CursorStore {
  get(): string | undefined | Promise<string | undefined>;
  /** Is awaited before the next event is told. */
  set(cursor: string): void | Promise<void>;
}

/** For as long as the page lives. Keep it beside the state, outside of what is mounted and unmounted. */
export function memory(cursor?: string): CursorStore {
  return { get: () => cursor, set: (newer) => void (cursor = newer) };
}

/** In `sessionStorage`, for a tab and its reloads, or in another storage. One key is one subscription's. */
export function webStorage(key: string, storage: Pick<Storage, 'getItem' | 'setItem'> = sessionStorage): CursorStore {
  return { get: () => storage.getItem(key) ?? undefined, set: (cursor) => storage.setItem(key, cursor) };
}

/** In IndexedDB, for all times. One key is one subscription's. */
export function indexedDb(key: string, database = 'resumable-graphql', factory: IDBFactory = indexedDB): CursorStore {
  let opened: Promise<IDBDatabase> | undefined;
  async function run<T>(mode: IDBTransactionMode, ask: (cursors: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    opened ??= (() => {
      const opening = factory.open(database, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('cursors');
      return settled(opening, () => opening.result);
    })();
    const transaction = (await opened).transaction('cursors', mode);
    const request = ask(transaction.objectStore('cursors'));
    // A request can succeed in a transaction that then fails.
    return settled(transaction, () => request.result);
  }
  return {
    get: () => run<string | undefined>('readonly', (cursors) => cursors.get(key)),
    async set(cursor) {
      await run('readwrite', (cursors) => cursors.put(cursor, key));
    },
  };
}

/** Waits for a request's success, or for a transaction's completion. */
function settled<T>(of: IDBRequest | IDBTransaction, result: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(of.error);
    for (const name of ['success', 'complete']) of.addEventListener(name, () => resolve(result()));
    for (const name of ['error', 'abort']) of.addEventListener(name, fail);
  });
}
