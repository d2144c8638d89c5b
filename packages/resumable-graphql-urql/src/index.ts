/** Subscriptions that lose nothing and repeat nothing, in urql, and what Graphcache needs so that nothing goes back in it. */

export { type CacheOptions, type Placing } from './graphcache.ts';
export { resumable, type ResumableExchange, type ResumableOptions } from './exchange.ts';
