import vue from '@vitejs/plugin-vue';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Where `npm run dev` finds herald. */
const herald = process.env['HERALD'] ?? 'http://127.0.0.1:8000';

const proxy = { '/graphql': { target: herald, ws: true }, '/sign-in': herald };

/** Stands in for the parts of prettier with which GraphiQL prettifies JSON. */
const prettierJson = fileURLToPath(new URL('graphiql/prettier-json.ts', import.meta.url));

export default defineConfig({
  plugins: [vue()],
  resolve: {
    alias: {
      'prettier/parser-babel': prettierJson,
      'prettier/plugins/estree': prettierJson,
      'prettier/parser-graphql': 'prettier/plugins/graphql', // the same again under its old name
    },
  },
  build: {
    rolldownOptions: {
      input: ['index.html', 'graphiql.html'], // the chat, and GraphiQL
      checks: { moduleLevelDirective: false }, // React's "use client", which says nothing to a browser
    },
    chunkSizeWarningLimit: 3000, // kB; Monaco, GraphiQL's editor, has 2,800
    assetsInlineLimit: 0, // nothing inline: herald's Content-Security-Policy forbids it
    modulePreload: { polyfill: false },
  },
  server: { proxy },
  preview: { proxy },
});
