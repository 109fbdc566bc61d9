import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { shapeProblems } from '../../src/compose/definition-shape.ts';
import { importDefinition, loadDefinitions } from '../../src/compose/definitions.ts';
import type { Config } from '../../src/config/schema.ts';
import { loadConfig } from '../../src/config/config.ts';
import { notes } from '../sim/legacy/notes-service.ts';

const folder = mkdtempSync(join(tmpdir(), 'crossfade-definition-'));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('a missing definition is reported as a missing file', async () => {
  const missing = join(folder, 'y.ts');
  await expect(importDefinition('x', missing)).rejects.toThrow(
    `services.x.definition ${missing} cannot be loaded: file ${missing} not found`,
  );
});

test('a missing imported module is named', async () => {
  const path = file('imports.js', "import './nowhere.js';\nexport default {};\n");
  await expect(importDefinition('x', path)).rejects.toThrow(/cannot be loaded: .*nowhere\.js/);
});

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What `crossfade start` prints in a process of its own: the test runner imports in its own way. */
async function startWith(definition: string): Promise<string> {
  const config = file(
    'crossfade.yaml',
    `services: { x: { definition: ${definition}, legacy: { endpoint: "tcp://127.0.0.1:1" } } }`,
  );
  return promisify(execFile)(process.execPath, [MAIN, 'start', '--config', config]).then(
    () => 'it started',
    ({ stderr }: { stderr: string }) => stderr,
  );
}

test.each(['bad.js', 'bad.ts'])('a syntax error in %s is reported with its line', async (name) => {
  const path = file(name, 'export default {\n  a: 1,\n  b: = 2,\n};\n');
  expect(await startWith(path)).toContain(
    `crossfade: services.x.definition ${path} cannot be loaded: ${path}:3: syntax error: `,
  );
});

test('an error during the load is reported with its line and message', async () => {
  const path = file('throws.js', '\n\nthrow new Error("no such setting");\n');
  expect(await startWith(path)).toContain(`cannot be loaded: ${path}:3: no such setting`);
});

test('a file with another export is refused with the expected export', async () => {
  const path = file('other.js', 'export const definition = 1;\n');
  await expect(importDefinition('x', path)).rejects.toThrow('must default-export defineService({...})');
});

test('the shipped definitions and a full one of the tests have the right shape', async () => {
  const { services } = loadConfig(fileURLToPath(new URL('../../config/crossfade.yaml', import.meta.url)), {});
  const shipped = await loadDefinitions({ services } as Config);
  expect(shipped.length).toBe(3);
  for (const { name, definition } of [...shipped, { name: 'notes', definition: notes }])
    expect(shapeProblems(definition), name).toEqual([]);
});

test('a start is refused with the problems of every definition at once', async () => {
  const path = file('empty.js', 'export default { actions: {} };\n');
  const printed = await startWith(path);
  expect(printed).toContain('crossfade: the definitions cannot be used:\n');
  expect(printed).toContain(`  - services.x.definition ${path}: name is missing`);
  expect(printed).toContain(`  - services.x.definition ${path}: lanes is missing: it must be an object`);
});

test('a definition that ends the process is reported with its line, and ends nothing', async () => {
  const path = file('exits.js', '\nprocess.exit(0);\nexport default {};\n');
  expect(await startWith(path)).toContain(
    `cannot be loaded: ${path}:2: it calls process.exit(0), but a definition must only export`,
  );
});

test('the check of the settings reports a definition that ends the process', async () => {
  const path = file('exits-too.js', 'process.exit(0);\n');
  const config = file(
    'checked.yaml',
    `services: { x: { definition: ${path}, legacy: { endpoint: "tcp://127.0.0.1:1" } } }`,
  );
  const { code, stdout } = await promisify(execFile)(process.execPath, [
    MAIN,
    'config',
    'check',
    config,
  ]).then(
    () => ({ code: 0, stdout: '' }),
    (failure: { code: number; stdout: string }) => failure,
  );
  expect(code).toBe(1);
  expect(stdout).toContain(`${path}:1: it calls process.exit(0)`);
  expect(stdout).toContain('1 problem');
});
