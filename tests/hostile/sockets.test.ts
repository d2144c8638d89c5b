/** Connections that are opened and held: one address gets a part of them, and what it holds is bounded. */

import { connect, type Socket as Stream } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { Front, HOSTILE, load } from './front.ts';
import { times } from './http.ts';
import { Socket } from './socket.ts';

/** Connections that the server has for everybody together. */
const MOST_CONNECTIONS = 300;

/** A stranger, who did nothing. */
const STRANGER = '127.0.0.3';

/** One connection of the hostile address, which says this. Gone with the test. */
async function hold(front: Front, ...parts: (string | Buffer)[]): Promise<Stream> {
  const stream = connect({ port: front.port, host: '127.0.0.1', localAddress: HOSTILE });
  onTestFinished(() => void stream.destroy());
  stream.on('error', () => {});
  stream.resume();
  await new Promise((resolve) => stream.once('connect', resolve).once('close', resolve));
  for (const part of parts) if (!stream.destroyed) await new Promise((resolve) => stream.write(part, resolve));
  return stream;
}

const small = Front.shared('--max-connections', `${MOST_CONNECTIONS}`);
const large = Front.shared();

const UPGRADE =
  'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';

/** A frame as clients send it: a byte of kind, the length, a mask of zeros, and the payload, or as much of it. */
function frame(kind: number, length: number, payload: string): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt8(kind, 0);
  head.writeUInt8(0x80 | 127, 1);
  head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.from(payload)]);
}

test('one address does not take every connection: by sockets that are acknowledged', async () => {
  const front = await small();
  await front.withstands(async () => {
    const opened: Socket[] = [];
    const refused = new Set<string>();
    for (let tries = 0; tries < MOST_CONNECTIONS + 50; tries++) {
      await Socket.greet(front.port, HOSTILE).then(
        (socket) => opened.push(socket),
        (cause: Error) => refused.add(cause.message),
      );
    }
    expect(refused.size, 'ways of being refused').toBeGreaterThan(0);
    for (const cause of refused) expect(cause).toMatch(/^status (503|429)$|^closed: (4403|4429|1013|1008) /);
    // Somebody else finds room still.
    const stranger = await Socket.greet(front.port, STRANGER);
    await front.innocentSend(5);
    await Promise.all([...opened, stranger].map((socket) => socket.close()));
  });
});

/** Ways to keep a connection without having to do anything. */
const KEPT: Record<string, (string | Buffer)[]> = {
  'that say nothing': [],
  'that are at their first line': ['GET /'],
  'that are in their head': ['POST /graphql HTTP/1.1\r\nHost: x\r\n', `X-Long: ${'x'.repeat(30_000)}`],
  'that are in their body': [
    `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n\r\n`,
    'x'.repeat(250_000),
  ],
  'that are in a chunk of their body': [
    `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `40000\r\n${'x'.repeat(250_000)}`,
  ],
  'of sockets before connection_init': [UPGRADE],
  'of sockets in a frame': [UPGRADE, frame(0x81, 256_000, 'x'.repeat(250_000))],
  'of sockets in a message of frames': [UPGRADE, frame(0x01, 125_000, 'x'.repeat(125_000)), frame(0x00, 125_000, 'x'.repeat(125_000))],
  'of sockets in a message of empty frames': [UPGRADE, frame(0x01, 1, 'x'), ...Array.from({ length: 50 }, () => Buffer.concat(Array.from({ length: 100 }, () => frame(0x00, 0, ''))))],
  'of sockets in a control frame': [UPGRADE, frame(0x89, 125, 'x')],
  'that ask and read nothing': [...Array.from({ length: 20 }, () => 'GET /graphiql HTTP/1.1\r\nHost: x\r\n\r\n')],
};

test.for(Object.entries(KEPT))('one address does not take every connection: by connections %s', async ([, parts]) => {
  const front = await small();
  await front.withstands(async () => {
    const held = await times(MOST_CONNECTIONS + 50, 50, () => hold(front, ...parts));
    // Somebody who was never there before, and the health checks of the innocent, find room.
    const stranger = await front.caller(STRANGER).raw({ method: 'GET', path: '/healthz' });
    expect(stranger.status).toBe(200);
    await front.innocentSend(5);
    for (const stream of held) stream.destroy();
  });
});

/** Those that hold something. */
const FULL = Object.entries(KEPT).filter(([, parts]) => parts.length > 1);

test.for(FULL)('memory does not grow with connections %s', async ([, parts]) => {
  const front = await large();
  await front.withstands(async () => {
    const held = await times(1_500, 50, () => hold(front, ...parts));
    await front.innocentSend(load(200));
    for (const stream of held) stream.destroy();
  });
});
