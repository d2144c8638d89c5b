/**
 * A thread of Monaco's; its name says for what. Monaco has a script for each language, and each of them has the same
 * 250 KB of Monaco inside.
 */

import { initialize } from 'monaco-editor/esm/vs/editor/editor.worker.js';
import 'monaco-editor/esm/vs/language/json/json.worker.js'; // at its first message, begins as the one for JSON
import { GraphQLWorker } from 'monaco-graphql/esm/GraphQLWorker.js';

if (self.name === 'graphql') {
  self.onmessage = () => initialize((context, settings) => new GraphQLWorker(context, settings));
} else if (self.name !== 'json') {
  self.onmessage = () => initialize(null);
}
