import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

/** The packages as they are in this repository: they are not published yet. */
const PACKAGES = ['herald-client', 'herald-vue', 'resumable-graphql', 'resumable-graphql-outbox', 'resumable-graphql-ws'];

const source = (name) => new URL(`../../packages/${name}/src/index.ts`, import.meta.url).pathname;

export default defineConfig({
  plugins: [vue()],
  resolve: {
    alias: Object.fromEntries(PACKAGES.map((name) => [name, source(name)])),
    // The packages use what is installed here.
    dedupe: ['vue'],
  },
  server: {
    fs: { allow: ['../..'] },
    // The page and herald have one origin this way.
    proxy: { '/graphql': { target: process.env.HERALD_URL ?? 'http://127.0.0.1:8000', ws: true } },
  },
});
