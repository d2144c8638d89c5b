import vue from '@vitejs/plugin-vue';
import { defineConfig, type Plugin } from 'vitest/config';

import { PLANTED } from './tests/planted.ts';
import { PLANTED_IN_OUTBOX } from './tests/planted-outbox.ts';

const of = (name: string) => new URL(`${name}/src/index.ts`, import.meta.url).pathname;

export default defineConfig({
  plugins: [planted(), forPages(vue())],
  resolve: {
    // The examples for React and Vue have packages of their own.
    dedupe: ['react', 'react-dom', 'vue', 'graphql-ws'],
    // The sources, so that a test never runs what was built from others.
    alias: ['', '-ws', '-sse', '-apollo', '-urql', '-relay', '-tabs', '-outbox'].map((suffix) => ({
      find: new RegExp(`^resumable-graphql${suffix}$`), replacement: of(`resumable-graphql${suffix}`),
    })).concat(['herald-client', 'herald-react', 'herald-vue'].map((name) => ({
      find: new RegExp(`^${name}$`), replacement: of(name),
    }))).concat({ find: /^resumable-graphql-conformance$/, replacement: of('conformance') }),
  },
  test: {
    include: ['tests/**/*.test.ts'],
    // A thousand runs each, on a machine that may be busy.
    testTimeout: 300_000,
    hookTimeout: 60_000,
    retry: 0,
    // Libraries warn of what a model leaves out. What failed is shown with all that was said.
    silent: 'passed-only',
    // Vitest keeps one core free by itself.
    maxWorkers: 2,
  },
});

/** A module that is imported with `?plant=NAME` has that mistake in it, or in what it imports from its own folder. */
function planted(): Plugin {
  const nameIn = (id: string | undefined) => /\?plant=([\w-]+)/.exec(id ?? '')?.[1];
  return {
    name: 'planted',
    enforce: 'pre',
    async resolveId(source, importer) {
      const name = nameIn(importer);
      if (!name || !source.startsWith('./')) return null;
      const found = await this.resolve(source, importer!.replace(/\?.*/, ''), { skipSelf: true });
      return found && `${found.id}?plant=${name}`;
    },
    transform(code, id) {
      const { file, says, instead } = { ...PLANTED, ...PLANTED_IN_OUTBOX }[nameIn(id) ?? ''] ?? {};
      if (!file || !id.includes(`/${file}?`)) return null;
      if (code.split(says!).length !== 2) throw new Error(`${file} does not say once: ${says}`);
      return code.replace(says!, () => instead!);
    },
  };
}

/** Compiles components as for a browser. For Node, the plugin would have them render on a server. */
function forPages(plugin: any): Plugin {
  const once = (hook: any) => function (this: unknown, ...args: any[]) {
    return (hook.handler ?? hook).apply(this, args.map((arg) => (arg && typeof arg === 'object' ? { ...arg, ssr: false } : arg)));
  };
  const of = (hook: any) => (hook.handler ? { ...hook, handler: once(hook) } : once(hook));
  return { ...plugin, load: of(plugin.load), transform: of(plugin.transform) };
}
