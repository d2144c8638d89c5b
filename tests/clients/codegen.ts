import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types for the operations of each library's tests, from the schema that herald publishes. */
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  generates: Object.fromEntries(
    ['apollo', 'urql'].map((library) => [
      `./${library}/generated/`,
      {
        preset: 'client',
        documents: `./${library}/*.ts`,
        presetConfig: { fragmentMasking: false },
        config: {
          scalars: { Cursor: 'string', DateTime: 'string' },
          defaultScalarType: 'unknown',
          enumsAsTypes: true,
          useTypeImports: true,
          importExtension: '.ts',
          emitLegacyCommonJSImports: false,
        },
      },
    ]),
  ),
};

export default config;
