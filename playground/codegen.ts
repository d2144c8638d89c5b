import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types for every operation of the chat, from the schema that herald publishes. */
const config: CodegenConfig = {
  schema: '../schema.graphql',
  documents: 'src/**/*.ts',
  generates: {
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
