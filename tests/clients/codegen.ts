import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types for the operations of each folder, and which types an interface has, from the schema that herald publishes. */
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  generates: Object.fromEntries(
    ['.', './apollo', './urql', '../../examples/apollo', '../../examples/urql'].flatMap((folder) => [[
      `${folder}/generated/possible-types.ts`,
      { plugins: ['fragment-matcher'] },
    ], [
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
    ]]),
  ),
};

export default config;
