/** Subscriptions that lose nothing and repeat nothing, in Apollo Client, and a cache in which nothing goes back. */

export { growing, inOrder } from './policies.ts';
export { epochOf } from './epochs.ts';
export { type ResumableLinkOptions, resumableLink } from './link.ts';
