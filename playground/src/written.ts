/**
 * What somebody wrote outlives the page: it is kept in IndexedDB, by user, and goes nowhere from there. A browser that
 * refuses to keep anything loses it with the page, as it would without this.
 */

const STORE = 'written';

const opened = new Promise<IDBDatabase>((resolve, reject) => {
  const request = indexedDB.open('herald', 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

async function ask<T>(mode: IDBTransactionMode, question: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  try {
    const request = question((await opened).transaction(STORE, mode).objectStore(STORE));
    return await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return undefined;
  }
}

/** What is kept of one kind and one user. */
export function keptOf<T>(kind: string, userId: string) {
  const prefix = `${kind}/${userId}/`;
  return {
    get: (key: string): Promise<T | undefined> => ask('readonly', (store) => store.get(prefix + key)),
    all: async (): Promise<T[]> =>
      (await ask('readonly', (store) => store.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)))) ?? [],
    put: (key: string, value: T) => ask('readwrite', (store) => store.put(value, prefix + key)),
    remove: (key: string) => ask('readwrite', (store) => store.delete(prefix + key)),
  };
}
