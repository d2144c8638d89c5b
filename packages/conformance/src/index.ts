/** The conformance kit: whether a server keeps to herald's docs/spec/resumable-subscriptions.md, seen from outside. */

export { type Mapping, type Operation, readMapping, type TransportName } from './mapping.ts';
export { conforms, counts, json, tap } from './report.ts';
export { CHECKS, conform, type Outcome, type Result, type Selection } from './run.ts';
export type { Operator } from './server.ts';
