import { defineConfig } from 'tsdown';

const names = ['', '-ws', '-sse', '-apollo', '-urql', '-relay', '-tabs'].map((suffix) => `resumable-graphql${suffix}`);

export default names.map((name) =>
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
