/** A value that changes, as React's `useSyncExternalStore` takes it. */

export interface View<T> {
  /** The same object until something changes. */
  get(): T;
  /** Is told of each change. Returns what ends that. */
  subscribe(listener: () => void): () => void;
}

export interface Source<T> extends View<T> {
  readonly isUsed: boolean;
  /** Says that the value may be another one. */
  touch(): void;
}

/** Computed when it is asked for. `begin` is called when somebody begins to look. */
export function view<T>(compute: () => T, begin?: () => void): Source<T> {
  const listeners = new Set<() => void>();
  let value: { is: T } | undefined;
  return {
    get: () => (value ??= { is: compute() }).is,
    subscribe(listener) {
      // Each for itself, though it be the same function.
      const own = () => listener();
      listeners.add(own);
      if (listeners.size === 1) begin?.();
      return () => void listeners.delete(own);
    },
    get isUsed() {
      return !!listeners.size;
    },
    touch() {
      value = undefined;
      for (const listener of [...listeners]) listener();
    },
  };
}
