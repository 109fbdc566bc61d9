import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../../src', import.meta.url));
const EVENTS = 'engine/ports/events.ts';

/** The tests kill the process at these, and the simulation records them. */
const CRASH_POINTS = [
  'write:sent',
  'write:recorded',
  'delivery:recorded',
  'lane:copying',
  'flip:announced',
  'flip:draining',
  'flip:drained',
  'flip:committed',
  'flip:comparing',
  'reverse:begun',
  'reverse:answered',
  'return:draining',
  'return:announced',
  'return:committing',
];

function texts(): ReadonlyMap<string, string> {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return new Map(files.map((file) => [file, readFileSync(`${SOURCE}/${file}`, 'utf8')]));
}

function eventNames(text: string): string[] {
  return [...text.matchAll(/^ {2}'(?<name>[a-z]+:[a-z_]+)':/gm)].map(({ groups }) => groups?.['name'] ?? '');
}

const files = texts();
const names = eventNames(files.get(EVENTS) ?? '');
const [engine, others] = [
  [...files].filter(([file]) => file.startsWith('engine/') && file !== EVENTS),
  [...files].filter(([file]) => !file.startsWith('engine/')),
].map((some) => some.map(([, text]) => text).join('\n'));

test('the scan sees the events', () => {
  expect(names.length).toBeGreaterThan(40);
});

test('the engine emits every event', () => {
  expect(names.filter((name) => engine?.includes(`'${name}'`) !== true)).toEqual([]);
});

test('every event has a listener, except the crash points of the tests', () => {
  const unheard = names.filter((name) => others?.includes(`'${name}'`) !== true);
  expect(unheard.filter((name) => !CRASH_POINTS.includes(name))).toEqual([]);
});
