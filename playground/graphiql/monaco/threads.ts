/**
 * The threads in which Monaco parses, validates and completes: three of one script, which Vite writes as a file of its
 * own, so that `worker-src 'self'` is enough.
 */

import Thread from './thread?worker';

function getWorker(_id: string, label: string): Worker {
  return new Thread({ name: label });
}

Object.assign(globalThis, { MonacoEnvironment: { getWorker } });
