/**
 * `test`, whose tests ask by name for what they need. The server and the browser are the same for all tests of a file:
 * whoever ends the server starts it again. People, their conversation and their devices are new in each test.
 */

import { chromium as launcher, type BrowserContextOptions } from 'playwright-core';
import { test as base } from 'vitest';

import { Herald } from '../clients/herald.ts';
import { Device } from './device.ts';
import { Person } from './person.ts';

export const test = base
  .extend('herald', { scope: 'file' }, async ({}, { onCleanup }) => {
    const herald = await Herald.create();
    onCleanup(() => herald.remove());
    return herald;
  })
  .extend('chromium', { scope: 'file' }, async ({}, { onCleanup }) => {
    const chromium = await launcher.launch({
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-background-networking'],
    });
    onCleanup(() => chromium.close());
    return chromium;
  })
  /** Makes a device of somebody's, or of nobody's yet. Whatever its pages do wrong fails the test. */
  .extend('device', async ({ chromium, herald }, { onCleanup }) => {
    const devices: Device[] = [];
    onCleanup(async () => {
      const closed = await Promise.allSettled(devices.map((device) => device.close()));
      const faults = closed.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      if (faults.length) throw new AggregateError(faults, faults.map(String).join('\n'));
    });
    return async (owner?: Person, options?: BrowserContextOptions): Promise<Device> => {
      const device = await Device.create(chromium, new URL(herald.http).origin, owner, options);
      devices.push(device);
      return device;
    };
  })
  .extend('alice', ({ herald }) => Person.register(herald, 'Alice'))
  .extend('bob', ({ herald }) => Person.register(herald, 'Bob'))
  .extend('carol', ({ herald }) => Person.register(herald, 'Carol'))
  /** Of Alice and Bob. */
  .extend('conversationId', ({ alice, bob }) => alice.converse([bob]));
