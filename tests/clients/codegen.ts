import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types for the operations of each folder, from the schema that herald publishes. */
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  generates: Object.fromEntries(
    ['.', './apollo', './urql', '../../examples/apollo', '../../examples/urql'].map((folder) => [
      `${folder}/generated/`,
      {
        preset: 'client',
        documents: `${folder}/*.ts`,
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
