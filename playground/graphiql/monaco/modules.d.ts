/** Modules of Monaco's that come without types. */

declare module 'monaco-editor/esm/vs/editor/editor.worker.js' {
  import type { worker } from 'monaco-editor';
  export function initialize(create: ((context: worker.IWorkerContext, settings: never) => object) | null): void;
}
