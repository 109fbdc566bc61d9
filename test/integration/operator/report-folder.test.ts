import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createDeliveries } from '../../../src/operator/report/deliver-report.ts';

describe('the folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-reports-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const texts = { html: '<p>ann</p>', md: 'ann', json: '{"by":"ann"}' };

  test('holds every format, completely, and is created if missing', async () => {
    const deep = join(folder, 'a', 'b');
    const deliver = createDeliveries({ folder: deep, webhook: undefined }).get('folder');
    for (let times = 0; times < 2; times += 1)
      expect(await deliver?.({ date: '2026-11-20', texts })).toBeUndefined();
    expect(readdirSync(deep).toSorted((a, b) => a.localeCompare(b))).toEqual([
      '2026-11-20.html',
      '2026-11-20.json',
      '2026-11-20.md',
    ]);
    expect(readFileSync(join(deep, '2026-11-20.md'), 'utf8')).toBe('ann');
  });

  test('with another file in a report’s place keeps no unfinished file', async () => {
    const taken = join(folder, 'taken');
    mkdirSync(join(taken, '2026-11-20.html'), { recursive: true });
    const deliver = createDeliveries({ folder: taken, webhook: undefined }).get('folder');
    expect(await deliver?.({ date: '2026-11-20', texts })).toBe('its files could not be written (EISDIR)');
    expect(readdirSync(taken)).toEqual(['2026-11-20.html']);
  });

  test('with a link in an unfinished file’s place writes nothing through it', async () => {
    const linked = join(folder, 'linked');
    mkdirSync(linked);
    const elsewhere = join(folder, 'elsewhere');
    symlinkSync(elsewhere, join(linked, '2026-11-20.html.new'));
    const deliver = createDeliveries({ folder: linked, webhook: undefined }).get('folder');
    expect(await deliver?.({ date: '2026-11-20', texts })).toBeUndefined();
    expect(existsSync(elsewhere)).toBe(false);
    expect(lstatSync(join(linked, '2026-11-20.html')).isFile()).toBe(true);
  });

  test('that cannot be written to is reported without its path', async () => {
    const file = join(folder, 'a', 'b', '2026-11-20.md');
    const deliver = createDeliveries({ folder: file, webhook: undefined }).get('folder');
    expect(await deliver?.({ date: '2026-11-20', texts })).toMatch(
      /^its files could not be written \(E[A-Z]+\)$/,
    );
  });
});
