import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types for every operation of the chat, and which types an interface has, from the schema that herald publishes. */
const config: CodegenConfig = {
  schema: '../schema.graphql',
  documents: 'src/**/*.ts',
  generates: {
    './generated/possible-types.ts': { plugins: ['fragment-matcher'] },
    './generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        scalars: { Cursor: 'string', DateTime: 'string' },
        defaultScalarType: 'unknown',
        enumsAsTypes: true,
        useTypeImports: true,
        emitLegacyCommonJSImports: false,
      },
    },
  },
};

export default config;
