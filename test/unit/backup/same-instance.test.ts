import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { isSameInstance } from '../../../src/backup/same-instance.ts';

const OWN = Object.values(networkInterfaces()).flatMap((all) => all ?? []);

test.each([
  ['tcp://127.0.0.1:5570', 'tcp://127.0.0.1:5570'],
  ['tcp://localhost:5570', 'tcp://127.0.0.1:5570'],
  ['tcp://LOCALHOST:5570', 'tcp://[::1]:5570'],
  ['tcp://127.0.0.1:5570', 'tcp://0.0.0.0:5570'],
  ['tcp://[::ffff:127.0.0.1]:5570', 'tcp://127.0.0.2:5570'],
  ['tcp://[::ffff:192.0.2.1]:5570', 'tcp://192.0.2.1:5570'],
  ['tcp://127.1:05570', 'tcp://localhost:5570'],
  ['http://localhost', 'http://127.0.0.1:80/'],
  ['https://nowhere.invalid', 'https://NOWHERE.invalid:443/path'],
  ['ipc:///tmp/service', 'ipc:///tmp/service'],
])('%s is %s', async (one, other) => {
  expect(await isSameInstance(one, other)).toBe(true);
  expect(await isSameInstance(other, one)).toBe(true);
});

test.each([
  ['tcp://127.0.0.1:5570', 'tcp://127.0.0.1:5571'],
  ['tcp://localhost:5570', 'tcp://192.0.2.1:5570'],
  ['tcp://nowhere.invalid:5570', 'tcp://127.0.0.1:5570'],
  ['tcp://127.0.0.1:5570', 'ipc:///tmp/service'],
  ['http://localhost', 'https://localhost'],
])('%s is not %s', async (one, other) => {
  expect(await isSameInstance(one, other)).toBe(false);
});

test('this machine is itself by each of its addresses', async () => {
  for (const { address, family } of OWN.filter(({ scopeid }) => !scopeid)) {
    const host = family === 'IPv6' ? `[${address}]` : address;
    expect(await isSameInstance(`tcp://${host}:5570`, 'tcp://localhost:5570')).toBe(true);
  }
});
