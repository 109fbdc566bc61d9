import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { laneKeyOf, operationId, replicaId, serviceName, type Owner } from '../../../src/domain/ids.ts';
import type { Intent } from '../../../src/engine/ports/ports.ts';
import type { SpillRecord } from '../../../src/engine/ports/spill-ports.ts';
import { createSeal, PLAIN } from '../../../src/storage/seal.ts';
import { SpillFile } from '../../../src/storage/spill/spill-file.ts';

const SERVICE = serviceName('notes');
const ME = replicaId(randomUUID());
const MIB = 2 ** 20;

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-spill-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Opening {
  readonly limitBytes?: number;
  readonly seal?: typeof PLAIN;
  readonly progress?: number;
}

async function open(folder: string, { limitBytes = 64 * MIB, seal = PLAIN, progress = 0 }: Opening = {}) {
  const spill = new SpillFile({ folder, limitBytes, seal });
  await spill.start();
  cleanUps.push(() => spill.stop());
  await spill.prepare(progress);
  return spill;
}

function intent(text: string, owner = 'ana'): Intent {
  return {
    operationId: operationId(randomUUID()),
    service: SERVICE,
    owner: owner as Owner,
    lane: laneKeyOf(SERVICE, owner as Owner),
    action: 'put',
    request: text,
    acceptedAtMs: 1_700_000_000_000,
  };
}

const textsOf = (records: readonly SpillRecord[]): string[] =>
  records.flatMap((record) => (record.kind === 'intent' ? [record.request] : []));

const all = async (spill: SpillFile): Promise<string[]> => textsOf(await spill.page(0, Infinity));

const fileIn = (folder: string): string => join(folder, 'writes.spill');

test('appended records are there for the next process, in order, with outcomes', async () => {
  const folder = newFolder();
  const first = await open(folder);
  const writes = Array.from({ length: 50 }, (_, index) => intent(`write ${index}`));
  await Promise.all(writes.map((write) => first.append(write, ME)));
  const [write] = writes;
  if (write !== undefined)
    first.recordOutcome({ lane: write.lane, operationId: write.operationId, outcome: 'applied' });
  await first.stop();
  const second = await open(folder);
  expect(second).toMatchObject({ id: first.id, hasHistory: true, isDamaged: false });
  expect(second.facts()).toMatchObject({ writes: 50, oldestAtMs: 1_700_000_000_000 });
  expect(await all(second)).toEqual(writes.map(({ request }) => request));
  const records = await second.page(0, Infinity);
  expect(records.at(-1)).toMatchObject({ kind: 'outcome', outcome: 'applied', number: 51 });
  expect(records.map(({ number }) => number)).toEqual(Array.from({ length: 51 }, (_, index) => index + 1));
});

test('noted shares are there for the next process', async () => {
  const folder = newFolder();
  const first = await open(folder);
  expect(first.shares).toEqual({ percentages: {}, atMs: 0 });
  await first.noteShares({ percentages: { notes: 25 }, atMs: 1 });
  await first.noteShares({ percentages: { notes: 50 }, atMs: 2 });
  await first.stop();
  expect((await open(folder)).shares).toEqual({ percentages: { notes: 50 }, atMs: 2 });
});

test('shares that an earlier version noted have no known time', async () => {
  const folder = newFolder();
  const first = await open(folder);
  await first.noteShares({ percentages: {}, atMs: 1 });
  await first.stop();
  writeFileSync(join(folder, 'shares.json'), '{"notes": 25}');
  expect((await open(folder)).shares).toEqual({ percentages: { notes: 25 }, atMs: 0 });
});

test('replayed pages free their space, and numbers continue', async () => {
  const spill = await open(newFolder());
  for (let index = 0; index < 30; index += 1) await spill.append(intent(`write ${index}`), ME);
  const page = await spill.page(0, 2_000);
  expect(page.length).toBeGreaterThan(1);
  expect(page.length).toBeLessThan(30);
  const through = page.at(-1)?.number ?? 0;
  await spill.replayed(through);
  expect(spill.facts().writes).toBe(30 - page.length);
  expect(textsOf(await spill.page(through, Infinity))[0]).toBe(`write ${page.length}`);
  const before = spill.facts().bytes;
  await spill.replayed(30);
  expect(spill.facts()).toMatchObject({ writes: 0, oldestAtMs: undefined });
  expect(spill.facts().bytes).toBeLessThan(before / 10);
  await spill.append(intent('next'), ME);
  expect(await spill.page(30, Infinity)).toMatchObject([{ number: 31, request: 'next' }]);
});

test('outcomes are found ahead of the pages, whose position stays', async () => {
  const spill = await open(newFolder());
  const writes = Array.from({ length: 30 }, (_, index) => intent(`write ${index}`));
  for (const write of writes) await spill.append(write, ME);
  const page = await spill.page(0, 2_000);
  const through = page.at(-1)?.number ?? 0;
  await spill.replayed(through);
  const [first, second, third] = writes.map(({ operationId: id }) => id);
  for (const { lane, operationId: id } of writes.slice(0, 2))
    spill.recordOutcome({ lane, operationId: id, outcome: 'applied' });
  await spill.flush();
  const asked = new Set([first, third].filter((id) => id !== undefined));
  expect(await spill.outcomes(through, asked)).toEqual(new Map([[first, 'applied']]));
  expect(await spill.outcomes(0, new Set([second].filter((id) => id !== undefined)))).toEqual(
    new Map([[second, 'applied']]),
  );
  expect(await spill.outcomes(32, asked)).toEqual(new Map());
  expect(textsOf(await spill.page(through, Infinity))[0]).toBe(`write ${page.length}`);
  expect(spill.facts().writes).toBe(30 - page.length);
});

test('a second process on the same folder is refused with the pid of the first', async () => {
  const folder = newFolder();
  await open(folder);
  const program = `
    const { SpillFile } = await import(${JSON.stringify(fileURLToPath(new URL('../../../src/storage/spill/spill-file.ts', import.meta.url)))});
    await new SpillFile({ folder: ${JSON.stringify(folder)}, limitBytes: 1e6, seal: undefined }).start();`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(ended.status).not.toBe(0);
  expect(ended.stderr).toContain(`The folder ${folder} is in use by process ${process.pid}`);
});

test('a request is sealed if a key is configured', async () => {
  const folder = newFolder();
  const seal = createSeal(randomBytes(32));
  const spill = await open(folder, { seal });
  await spill.append(intent('my dearest secret'), ME);
  expect(readFileSync(fileIn(folder)).includes('dearest')).toBe(false);
  const [record] = await spill.page(0, Infinity);
  expect(record?.kind === 'intent' && seal.open(record.request)).toBe('my dearest secret');
});

test('a truncated file keeps every complete record, and reports the loss', async () => {
  const folder = newFolder();
  const spill = await open(folder);
  for (let index = 0; index < 9; index += 1) await spill.append(intent(`write ${index}`), ME);
  await spill.stop();
  const whole = readFileSync(fileIn(folder));
  const header = whole.indexOf('\n') + 1;
  const recordBytes = (whole.length - header) / 9;
  for (let cut = header + 1; cut < whole.length; cut += 37) {
    const place = newFolder();
    writeFileSync(fileIn(place), whole.subarray(0, cut));
    const left = await open(place);
    const kept = Math.floor((cut - header) / recordBytes);
    expect(await all(left)).toEqual(Array.from({ length: kept }, (_, index) => `write ${index}`));
    expect(left.isDamaged).toBe((cut - header) % recordBytes !== 0);
    await left.append(intent('after'), ME);
    expect((await all(left)).at(-1)).toBe('after');
    await left.stop();
  }
});

test('a flipped bit is found, and the damaged file is kept', async () => {
  const folder = newFolder();
  const spill = await open(folder);
  for (let index = 0; index < 10; index += 1) await spill.append(intent(`write ${index}`), ME);
  await spill.stop();
  const bytes = readFileSync(fileIn(folder));
  const middle = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 4, middle);
  writeFileSync(fileIn(folder), bytes);
  const damaged = await open(folder);
  const kept = await all(damaged);
  expect(kept.length).toBeGreaterThan(2);
  expect(kept.length).toBeLessThan(8);
  expect(damaged.isDamaged).toBe(true);
  await damaged.stop();
  const again = await open(folder);
  expect(again.isDamaged).toBe(true);
  await again.mended();
  expect(again.isDamaged).toBe(false);
  const aside = readdirSync(folder).find((name) => name.endsWith('.kept')) ?? '';
  expect(readFileSync(join(folder, aside)).equals(bytes)).toBe(true);
});

test('a file shorter than its replayed part is damaged', async () => {
  const folder = newFolder();
  const spill = await open(folder);
  await spill.append(intent('one'), ME);
  await spill.stop();
  const shorter = await open(folder, { progress: 7 });
  expect(shorter.isDamaged).toBe(true);
  await shorter.append(intent('next'), ME);
  expect(await shorter.page(7, Infinity)).toMatchObject([{ number: 8, request: 'next' }]);
});

test.each([
  [
    'of another version',
    '{"format":"crossfade-spill","version":2,"id":"x","after":0}\n',
    'is a spill of format version 2',
  ],
  ['of another program', 'hello, world\n', 'is not a spill of Crossfade'],
  ['with nothing in it', '', 'is not a spill of Crossfade'],
])('a file %s stops the start and stays unchanged', async (_, text, message) => {
  const folder = newFolder();
  writeFileSync(fileIn(folder), text);
  await expect(open(folder)).rejects.toThrow(message);
  expect(readFileSync(fileIn(folder), 'utf8')).toBe(text);
  expect(existsSync(join(folder, 'lock'))).toBe(false);
});

test('above its limit it refuses writes, and continues when there is room', async () => {
  const spill = await open(newFolder(), { limitBytes: 20_000 });
  await spill.append(intent('x'.repeat(15_000)), ME);
  const refused = spill.append(intent('y'.repeat(15_000)), ME);
  await expect(refused).rejects.toMatchObject({ effect: 'not_applied', reason: 'spill_full' });
  expect(spill.facts().writes).toBe(1);
  await spill.replayed(1);
  await spill.append(intent('y'.repeat(15_000)), ME);
  expect(spill.facts().writes).toBe(1);
});

test('a full disk loses no acknowledged write, and writing continues later', async ({ skip }) => {
  const folder = newFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder]);
  if (mounted.status !== 0) skip('mounting needs root');
  cleanUps.push(() => void spawnSync('umount', ['-l', folder]));
  const spill = await open(folder);
  const acknowledged: string[] = [];
  for (let index = 0; index < 100; index += 1) {
    const text = `${index} `.padEnd(8_000, '.');
    const isKept = await spill.append(intent(text), ME).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ effect: 'not_applied', reason: 'spill_full' });
        return false;
      },
    );
    if (isKept) acknowledged.push(text);
  }
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(acknowledged.length).toBeLessThan(40);
  await spill.stop();
  const next = await open(folder);
  expect(next.isDamaged).toBe(false);
  expect(await all(next)).toEqual(acknowledged);
  await next.replayed(acknowledged.length);
  await next.append(intent('there is room again'), ME);
  expect(next.facts().writes).toBe(1);
});

test('a killed process loses no durable record', async () => {
  const folder = newFolder();
  const module = (path: string): string =>
    JSON.stringify(fileURLToPath(new URL(`../../../src/${path}`, import.meta.url)));
  const program = `
    const { SpillFile } = await import(${module('storage/spill/spill-file.ts')});
    const { PLAIN } = await import(${module('storage/seal.ts')});
    const spill = new SpillFile({ folder: ${JSON.stringify(folder)}, limitBytes: 1e9, seal: PLAIN });
    await spill.start();
    await spill.prepare(0);
    const write = async (lane) => {
      for (let n = 0; ; n += 1) {
        const request = lane + ' ' + n;
        await spill.append({ operationId: request, service: 'notes', owner: lane, lane, action: 'put', request, acceptedAtMs: 1 }, 'me');
        process.stdout.write(request + '\\n');
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(write));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  while (printed.length < 20_000) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGKILL');
  await once(child, 'close');
  const told = printed.split('\n').slice(0, -1);
  const next = await open(folder);
  const kept = new Set(await all(next));
  expect(told.filter((request) => !kept.has(request))).toEqual([]);
  expect(next.isDamaged).toBe(false);
});
