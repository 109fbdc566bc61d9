import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { stringify } from 'yaml';
import type { Manifest } from '../../src/backup/manifest.ts';
import { verifyBackup } from '../../src/backup/verify-backup.ts';
import { createAgent } from '../../src/sandbox/agent.ts';
import { createStandIns, type StandIns, type StandInService } from '../../src/sandbox/stand-ins.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { freePorts } from '../support/ports.ts';

const LANES = 5;
const ITEMS = 3;
const SERVICES: readonly StandInService[] = ['session-memory', 'contextual-memory', 'jarvis-memory'];
const FILES: Readonly<Record<StandInService, string>> = {
  'session-memory': 'session_memory.db',
  'contextual-memory': 'contextual_memory_store.json',
  'jarvis-memory': 'jarvis_memory_store.json',
};

interface Place {
  readonly folder: string;
  readonly config: string;
  readonly endpoints: Readonly<Record<StandInService, string>>;
  readonly standIns: StandIns;
}

const root = mkdtempSync(join(tmpdir(), 'crossfade-backup-'));
const places: Place[] = [];
let place: Place;

/** Three services on a folder, and a configuration that knows them. */
async function startPlace(name: string): Promise<Place> {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const [session = 0, health = 0, contextual = 0, jarvis = 0] = await freePorts(4);
  const shared = { dataFolder: folder, timeZone: 'UTC' };
  const standIns = createStandIns({
    'session-memory': { ...shared, port: session, healthPort: health, fsync: false },
    'contextual-memory': { ...shared, port: contextual },
    'jarvis-memory': { ...shared, port: jarvis },
  });
  await standIns.start();
  const endpoints = {
    'session-memory': `tcp://127.0.0.1:${session}`,
    'contextual-memory': `tcp://127.0.0.1:${contextual}`,
    'jarvis-memory': `tcp://127.0.0.1:${jarvis}`,
  };
  const services = Object.fromEntries(
    SERVICES.map((service) => {
      const kind = service === 'session-memory' ? 'sqliteFile' : 'jsonFile';
      const legacy = { endpoint: endpoints[service], [kind]: join(folder, FILES[service]) };
      return [service, { timeZone: 'UTC', legacy }];
    }),
  );
  const config = join(root, `${name}.yaml`);
  writeFileSync(config, stringify({ services }));
  const made = { folder, config, endpoints, standIns };
  places.push(made);
  return made;
}

async function fill({ endpoints }: Place): Promise<void> {
  const agents = new Map(SERVICES.map((service) => [service, createAgent({ endpoint: endpoints[service] })]));
  const ask = (service: StandInService, request: object) =>
    agents.get(service)?.call(JSON.stringify(request));
  for (let lane = 0; lane < LANES; lane += 1) {
    const id = { session_id: `s-${lane}` };
    await ask('session-memory', { action: 'create_session', ...id });
    for (let item = 0; item < ITEMS; item += 1) {
      const content = `turn ${item} of ${lane}, ñ`;
      await ask('session-memory', { action: 'add_interaction', ...id, role: 'user', content });
      await ask('contextual-memory', { action: 'add_interaction', ...id, type: 'user_query', content });
      await ask('jarvis-memory', { action: 'add_memory', user_id: `u-${lane}`, memory: { content } });
    }
  }
  for (const agent of agents.values()) agent.close();
}

function backup(service: string, out: string, from: Pick<Place, 'config'> = place) {
  return runCommand(['backup', '--service', service, '--out', out, '--config', from.config, '--json']);
}

beforeAll(async () => {
  place = await startPlace('legacy');
  await fill(place);
});

afterAll(async () => {
  for (const { standIns } of places) await standIns.stop();
  rmSync(root, { recursive: true, force: true });
});

describe.each(SERVICES)('a backup of %s', (service) => {
  const out = join(root, `backup-${service}`);

  test('contains every lane and item, and the file of the service', async () => {
    const result = await backup(service, out);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const manifest = resultOf<Manifest>(result);
    expect(manifest).toMatchObject({ service, lanes_different: 0, store: { original_name: FILES[service] } });
    const sources = manifest.lanes.map(({ source }) => source);
    // The other two are changed by being asked.
    expect(sources).toEqual(service === 'jarvis-memory' ? ['file', 'api'] : ['file']);
    for (const lanes of manifest.lanes) expect(lanes).toMatchObject({ lanes: LANES, items: LANES * ITEMS });
    expect(statSync(join(out, 'manifest.json')).mode & 0o077).toBe(0);
    for (const { name } of manifest.lanes) expect(statSync(join(out, name)).mode & 0o077).toBe(0);
  });

  test('is verified as complete', async () => {
    const result = await runCommand(['backup', 'verify', out]);
    expect(result).toMatchObject({ code: 0 });
    expect(result.stdout).toContain(`${LANES} lanes, ${LANES * ITEMS} items (file)`);
  });

  test('with one changed, cut or missing byte is damaged, and not restored', async () => {
    for (const damage of [
      (bytes: Buffer) => bytes.fill((bytes[40] ?? 0) ^ 1, 40, 41),
      (bytes: Buffer) => bytes.subarray(0, -1),
    ]) {
      const damaged = mkdtempSync(join(root, 'damaged-'));
      cpSync(out, damaged, { recursive: true });
      const file = join(damaged, 'lanes-file.jsonl.zst');
      writeFileSync(file, damage(readFileSync(file)));
      const verified = await runCommand(['backup', 'verify', damaged, '--json']);
      expect(verified.code).toBe(1);
      expect(resultOf<{ problems: string[] }>(verified).problems.join()).toContain('lanes-file.jsonl.zst');
      const into = join(root, 'never');
      const restored = await runCommand([
        'backup',
        'restore',
        damaged,
        '--into',
        into,
        '--config',
        place.config,
      ]);
      expect(restored.code).toBe(1);
      expect(restored.stderr).toContain('is damaged');
      expect(() => statSync(into)).toThrow('ENOENT');
    }
  });

  test('is restored into a folder on which a scratch instance works', async () => {
    const into = join(root, `restored-${service}`);
    const result = await runCommand([
      'backup',
      'restore',
      out,
      '--into',
      into,
      '--config',
      place.config,
      '--json',
    ]);
    expect(result).toMatchObject({ code: 0 });
    expect(resultOf(result)).toMatchObject({ lanes: LANES, items: LANES * ITEMS, different: [] });
    const name = `scratch-${service}`;
    cpSync(into, join(root, name), { recursive: true });
    const again = join(root, `again-${service}`);
    expect(await backup(service, again, await startPlace(name))).toMatchObject({ code: 0 });
    const digests = [out, again].map((folder) => {
      const { lanes } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
      return lanes.map(({ source, content_sha256: digest }) => `${source} ${digest}`);
    });
    expect(digests[1]).toEqual(digests[0]);
  });

  test('never overwrites existing files, also not in a restore', async () => {
    expect((await backup(service, out)).stderr).toContain('is not empty');
    const restored = await runCommand([
      'backup',
      'restore',
      out,
      '--into',
      place.folder,
      '--config',
      place.config,
    ]);
    expect(restored).toMatchObject({ code: 1 });
    expect(restored.stderr).toContain('is not empty');
  });
});

test('a store of any name, with owners of any script, is verified and restored', async () => {
  const folder = mkdtempSync(join(root, 'named-'));
  const name = 'mémoire du contexte (1).json';
  const file = join(folder, name);
  const entry = { timestamp: 1.5, type: 'user_query', content: 'one\u2028two\u0085' };
  const text = JSON.stringify({ sessions: { 'a\u2028b': [entry], 'c\u2029': [entry] }, summaries: {} });
  writeFileSync(file, text);
  const config = join(folder, 'crossfade.yaml');
  const legacy = { endpoint: place.endpoints['contextual-memory'], jsonFile: file };
  writeFileSync(config, stringify({ services: { 'contextual-memory': { timeZone: 'UTC', legacy } } }));
  const [out, into] = [join(folder, 'out'), join(folder, 'into')];
  const made = await backup('contextual-memory', out, { config });
  expect(resultOf<Manifest>(made).lanes).toMatchObject([{ lanes: 2, items: 2 }]);
  const verified = await runCommand(['backup', 'verify', out, '--json']);
  expect(verified).toMatchObject({ code: 0, stdout: '{"whole":true,"problems":[]}\n' });
  const restored = await runCommand(['backup', 'restore', out, '--into', into, '--config', config]);
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(join(into, name), 'utf8')).toBe(text);
});

test.each(['../evil', '..', 'a/b', 'a\\b', 'a\u0000b'])(
  'a manifest that leads to %j is refused',
  async (name) => {
    const folder = mkdtempSync(join(root, 'evil-'));
    cpSync(join(root, 'backup-contextual-memory'), folder, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
    const store = { ...manifest.store, original_name: name };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, store }));
    await expect(verifyBackup(folder)).rejects.toThrow('/store/original_name');
  },
);

test('jarvis-memory is restored into a running instance through its own protocol, once', async () => {
  const from = join(root, 'backup-jarvis-memory');
  const scratch = await startPlace('instance');
  const into = scratch.endpoints['jarvis-memory'];
  const restore = () =>
    runCommand(['backup', 'restore', from, '--into', into, '--config', place.config, '--json']);
  const result = await restore();
  expect(result).toMatchObject({ code: 0 });
  expect(resultOf(result)).toMatchObject({ lanes: LANES, items: LANES * ITEMS, different: [] });
  const second = await restore();
  expect(second).toMatchObject({ code: 1 });
  expect(second.stderr).toContain('crossfade: the instance already holds items of u-0');
  const own = place.endpoints['jarvis-memory'];
  for (const spelled of [own, own.replace('127.0.0.1', 'localhost')]) {
    const target = ['--into', spelled, '--config', place.config];
    const refused = await runCommand(['backup', 'restore', from, ...target]);
    expect(refused.stderr).toContain('is the running service');
  }
});

test('an instance with items only in the last lane gets nothing', async () => {
  const scratch = await startPlace('half-filled');
  const [into, last] = [scratch.endpoints['jarvis-memory'], `u-${LANES - 1}`];
  const agent = createAgent({ endpoint: into });
  await agent.call(JSON.stringify({ action: 'add_memory', user_id: last, memory: { content: 'kept' } }));
  agent.close();
  const target = ['--into', into, '--config', place.config];
  const refused = await runCommand(['backup', 'restore', join(root, 'backup-jarvis-memory'), ...target]);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toContain(`already holds items of ${last}`);
  const stored = JSON.parse(readFileSync(join(scratch.folder, FILES['jarvis-memory']), 'utf8')) as object;
  expect(Object.keys(stored)).toEqual([last]);
});

test('lanes that differ between file and service give exit code 2', async () => {
  const scratch = await startPlace('written');
  await fill(scratch);
  const file = join(scratch.folder, FILES['jarvis-memory']);
  writeFileSync(file, readFileSync(file, 'utf8').replace('turn 1 of 2', 'turn X of 2'));
  const result = await backup('jarvis-memory', join(root, 'differing'), scratch);
  expect(result.code).toBe(2);
  expect(resultOf(result)).toMatchObject({ lanes_different: 1 });
});

test('a store that stays locked is reported', async () => {
  const folder = mkdtempSync(join(root, 'locked-'));
  const sqliteFile = join(folder, 'session_memory.db');
  cpSync(join(place.folder, 'session_memory.db'), sqliteFile);
  const config = join(folder, 'crossfade.yaml');
  const legacy = { endpoint: place.endpoints['session-memory'], sqliteFile };
  writeFileSync(config, stringify({ services: { 'session-memory': { timeZone: 'UTC', legacy } } }));
  const service = new DatabaseSync(sqliteFile);
  service.exec('begin exclusive');
  const { code, stderr } = await backup('session-memory', join(folder, 'out'), { config });
  service.close();
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `crossfade: ${sqliteFile} could not be copied: the service kept the file locked; try again\n`,
  });
});

test('a failed backup prints the reason, and leaves no files', async () => {
  const out = join(root, 'nothing');
  const unknown = await backup('dream-world', out);
  expect(unknown.stderr).toContain('has no service "dream-world"; it has session-memory');
  const broken = await startPlace('broken');
  rmSync(join(broken.folder, FILES['session-memory']));
  const missing = await backup('session-memory', out, broken);
  expect(missing).toMatchObject({ code: 1 });
  expect(readdirSync(out)).toEqual([]);
  const none = await runCommand(['backup', 'verify', out]);
  expect(none.stderr).toContain('is not a complete backup');
});
