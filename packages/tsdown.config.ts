import { defineConfig } from 'tsdown';

const names = ['', '-ws', '-sse', '-apollo', '-urql', '-relay', '-tabs', '-outbox'].map((suffix) => `resumable-graphql${suffix}`)
  .concat(['herald-client', 'herald-react', 'herald-vue']);

const libraries = names.map((name) =>
  defineConfig({
    name,
    cwd: name,
    entry: 'src/index.ts',
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    dts: true,
    fixedExtension: false,
    minify: true,
    sourcemap: true,
    logLevel: 'warn',
    tsconfig: '../tsconfig.build.json',
  }),
);

/** For Node.js. It brings along the network that can fail, which tests/clients has. */
const kit = defineConfig({
  name: 'conformance',
  cwd: 'conformance',
  entry: ['src/index.ts', 'src/cli.ts'],
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  dts: true,
  fixedExtension: false,
  logLevel: 'warn',
  tsconfig: '../tsconfig.build.json',
});

export default [...libraries, kit];
