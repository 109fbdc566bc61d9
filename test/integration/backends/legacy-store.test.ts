import { afterEach, describe, expect, test } from 'vitest';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLegacyAccess, type LegacyAccessSettings } from '../../../src/backends/legacy-store.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { ConnectionError } from '../../../src/domain/errors.ts';
import type { LegacyCall } from '../../../src/engine/ports/ports.ts';

const folders: string[] = [];
const stopping: { stop(): Promise<void> }[] = [];

function pathOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-store-'));
  folders.push(folder);
  return join(folder, name);
}

function access(settings: Omit<LegacyAccessSettings, 'clock'>) {
  const store = createLegacyAccess({ ...settings, clock });
  stopping.push(store);
  return store;
}

afterEach(async () => {
  await Promise.all(stopping.splice(0).map((store) => store.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A service waits for a lock as long as Python's sqlite3 does unless it is told otherwise. */
const LOCK_TIMEOUT_MS = 5_000;

function makeDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
  database.exec('create table interactions (id integer primary key, session_id text, content text)');
  return database;
}

describe('the SQLite file of a running service', () => {
  test('is read while the service writes, and no write fails', async () => {
    const path = pathOf('memory.db');
    const writer = makeDatabase(path);
    const insert = writer.prepare('insert into interactions (session_id, content) values (?, ?)');
    const store = access({ sqlitePath: path });
    let written = 0;
    let isWriting = true;
    const writing = (async () => {
      while (isWriting) {
        writer.exec('begin immediate');
        insert.run('s-1', `turn ${written}`);
        // The lock is held for a moment, as a service does that works inside its transaction.
        if (written % 10 === 0) await sleep(5);
        writer.exec('commit');
        written += 1;
        await sleep(0);
      }
    })();
    let last = 0;
    for (let read = 0; read < 50; read += 1) {
      const rows = await store.sqlite?.('select count(*) as total from interactions where session_id = ?', [
        's-1',
      ]);
      const total = Number(rows?.[0]?.['total']);
      expect(total).toBeGreaterThanOrEqual(last);
      last = total;
    }
    isWriting = false;
    await writing;
    writer.close();
    expect(last).toBeGreaterThan(0);
  });

  test('that is locked for a moment is read as soon as it is free', async () => {
    const path = pathOf('memory.db');
    const writer = makeDatabase(path);
    writer.exec('begin exclusive');
    const store = access({ sqlitePath: path });
    const reading = store.sqlite?.('select count(*) as total from interactions', []);
    await sleep(200);
    writer.exec('commit');
    expect(await reading).toEqual([{ total: 0 }]);
    writer.close();
  });

  test('is opened again if it was replaced by another file', async () => {
    const path = pathOf('memory.db');
    makeDatabase(path).close();
    const store = access({ sqlitePath: path });
    expect(await store.sqlite?.('select count(*) as total from interactions', [])).toEqual([{ total: 0 }]);
    rmSync(path);
    const next = makeDatabase(path);
    next.exec(`insert into interactions values (9007199254740993, 's', 'ñ')`);
    next.close();
    expect(await store.sqlite?.('select id, content from interactions', [])).toEqual([
      { id: 9007199254740993n, content: 'ñ' },
    ]);
  });

  test('cannot be written, and an error names the file', async () => {
    const path = pathOf('memory.db');
    makeDatabase(path).close();
    const store = access({ sqlitePath: path });
    await expect(store.sqlite?.('delete from interactions', [])).rejects.toThrow(
      /readonly|read-only|query_only/,
    );
    await expect(store.sqlite?.('select nonsense', [])).rejects.toThrow(path);
    const missing = access({ sqlitePath: pathOf('absent.db') });
    await expect(missing.sqlite?.('select 1', [])).rejects.toBeInstanceOf(ConnectionError);
  });
});

describe('the JSON file of a running service', () => {
  test('is read again while it is empty or half-written', async () => {
    const path = pathOf('store.json');
    writeFileSync(path, '');
    const store = access({ jsonPath: path });
    const reading = store.jsonFile?.();
    await sleep(60);
    writeFileSync(path, '{"user": [{"text": "a');
    await sleep(60);
    writeFileSync(path, '{"user": [{"score": NaN, "n": 1000.0}]}');
    expect(await reading).toBe('{"user": [{"score": NaN, "n": 1000.0}]}');
  });

  test('is an error without its content if it stays broken, never an empty store', async () => {
    const path = pathOf('store.json');
    writeFileSync(path, '{"secret');
    const store = access({ jsonPath: path });
    const error: unknown = await store.jsonFile?.().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(String(error)).toContain(path);
    expect(String(error)).not.toContain('secret');
  });

  test('is an empty store if it was never written and its folder exists', async () => {
    expect(await access({ jsonPath: pathOf('never-written.json') }).jsonFile?.()).toBe('{}');
    await expect(access({ jsonPath: pathOf('no-folder/store.json') }).jsonFile?.()).rejects.toThrow(
      'no-folder',
    );
  });

  test('is noticed if rewritten within the same instant and size', async () => {
    const path = pathOf('store.json');
    const then = new Date(1_700_000_000_000);
    const store = access({ jsonPath: path });
    for (const text of ['{"a": 1}', '{"a": 2}']) {
      writeFileSync(path, text);
      utimesSync(path, then, then);
      expect(await store.jsonFile?.()).toBe(text);
    }
  });
});

test('the service itself is read through its probe connection', async () => {
  const calls: LegacyCall[] = [];
  const backend = {
    send: async (call: LegacyCall) => {
      calls.push(call);
      return { body: Buffer.from('{"status": "ok", "n": 1000.0}') };
    },
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' as const }),
  };
  const store = access({ backend });
  const reply = await store.call?.('{"action": "get"}');
  expect(reply?.raw['n']).toBe('1000.0');
  expect(calls[0]).toMatchObject({ purpose: 'probe' });
  expect(Object.keys(store).toSorted()).toEqual(['call', 'stop']);
});
