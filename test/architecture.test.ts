import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TABLE } from './import-table.ts';

/** Path below src → text. */
type Tree = ReadonlyMap<string, string>;

interface Import {
  /** As written: `../domain/ids.ts`, `node:crypto`, `pg`. */
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

const JOINING: readonly string[] = ['', 'cli', 'compose', 'sandbox'];
const NAMELESS = /^(utils?|helpers?|common|lib|manager|misc|index)\.ts$/;
const LINE_LIMIT = 450;

const SPECIFIERS = [
  // import … from, export … from; the clause holds no quote and no semicolon.
  /^[ \t]*(?:import|export)\s+(?<type>type\s)?(?<clause>[^'";]*?)\bfrom\s*['"](?<specifier>[^'"]+)['"]/gm,
  /^[ \t]*import\s*['"](?<specifier>[^'"]+)['"]/gm,
  /\b(?:import|require|import\.meta\.resolve)\(\s*['"](?<specifier>[^'"]+)['"]/g,
];

function importsOf(text: string): Import[] {
  return SPECIFIERS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(({ groups }) => ({
      specifier: groups?.['specifier'] ?? '',
      isTypeOnly: groups?.['type'] !== undefined || namesOnlyTypes(groups?.['clause']),
    })),
  );
}

function namesOnlyTypes(clause: string | undefined): boolean {
  const names =
    clause === undefined ? undefined : /^\s*\{(?<names>[^}]*)\}\s*$/.exec(clause)?.groups?.['names'];
  const named = (names ?? '').split(',').filter((name) => name.trim() !== '');
  return named.length > 0 && named.every((name) => name.trim().startsWith('type '));
}

/** The file below src that a relative import means; above src it starts with `../`. */
function targetOf(file: string, specifier: string): string {
  const path: string[] = file.split('/').slice(0, -1);
  for (const step of specifier.split('/')) {
    if (step === '..' && path.length > 0 && path.at(-1) !== '..') path.pop();
    else if (step !== '.') path.push(step);
  }
  return path.join('/');
}

const topOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');

function isWithin(target: string, places: readonly string[]): boolean {
  return places.some((place) => target === place || target.startsWith(`${place}/`));
}

function isPackage(specifier: string, packages: readonly string[]): boolean {
  return packages.some((name) =>
    name.endsWith('/') ? specifier.startsWith(name) : specifier === name || specifier.startsWith(`${name}/`),
  );
}

function isAllowed(file: string, { specifier, isTypeOnly }: Import): boolean {
  const top = topOf(file);
  if (JOINING.includes(top)) return true;
  const allowed = TABLE[top];
  if (allowed === undefined) return false;
  if (specifier.startsWith('node:')) return allowed.node?.includes(specifier) ?? true;
  if (!specifier.startsWith('.')) return isPackage(specifier, allowed.npm);
  const target = targetOf(file, specifier);
  return isWithin(target, [top, ...allowed.inside, ...(isTypeOnly ? (allowed.typesOf ?? []) : [])]);
}

function forbiddenImports(tree: Tree): string[] {
  return [...tree].flatMap(([file, text]) =>
    importsOf(text)
      .filter((found) => !isAllowed(file, found))
      .map(({ specifier, isTypeOnly }) => `${file} imports ${isTypeOnly ? 'types of ' : ''}${specifier}`),
  );
}

/** Chains of top folders that come back to their start. Files directly in src are roots, not a folder. */
function folderCycles(tree: Tree): string[] {
  const edges = new Map<string, Set<string>>();
  for (const [file, text] of tree) {
    const from = topOf(file);
    const local = importsOf(text).filter(({ specifier }) => specifier.startsWith('.'));
    const tops = local.map(({ specifier }) => topOf(targetOf(file, specifier)));
    edges.set(
      from,
      new Set([...(edges.get(from) ?? []), ...tops.filter((top) => top !== from && top !== '')]),
    );
  }
  const cycles: string[] = [];
  const walk = (folder: string, way: readonly string[]): void => {
    if (way.includes(folder)) {
      // Each cycle is found from each of its folders: told once, from the first by name.
      const cycle = way.slice(way.indexOf(folder));
      if (cycle.toSorted()[0] === folder) cycles.push([...cycle, folder].join(' → '));
      return;
    }
    for (const next of edges.get(folder) ?? []) walk(next, [...way, folder]);
  };
  for (const folder of edges.keys()) if (folder !== '') walk(folder, []);
  return [...new Set(cycles)];
}

const ENVIRONMENT = /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*\[|\}\s*=\s*process\b|['"](node:)?process['"]/;

function readersOfTheEnvironment(tree: Tree): string[] {
  return [...tree]
    .filter(([file, text]) => file !== 'main.ts' && ENVIRONMENT.test(text))
    .map(([file]) => file);
}

function longFiles(tree: Tree): string[] {
  return [...tree]
    .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > LINE_LIMIT)
    .map(({ file, lines }) => `${file} has ${lines} lines`);
}

const namelessFiles = (tree: Tree): string[] =>
  [...tree.keys()].filter((file) => NAMELESS.test(file.slice(file.lastIndexOf('/') + 1)));

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

function treeIn(folder: string): Tree {
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => file.endsWith('.ts'))
      .toSorted()
      .map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
  );
}

const tree = treeIn(SRC);

test('the scan sees the source tree and its imports', () => {
  expect(tree.size).toBeGreaterThan(30);
  expect(tree.has('main.ts')).toBe(true);
  const imports = [...tree.values()].flatMap(importsOf);
  expect(imports.length).toBeGreaterThan(100);
  for (const known of ['node:crypto', 'zeromq', 'unleash-client'])
    expect(imports.map(({ specifier }) => specifier)).toContain(known);
  const missing = [...tree].flatMap(([file, text]) =>
    importsOf(text)
      .map(({ specifier }) => specifier)
      .filter((specifier) => /^\..*\.ts$/.test(specifier) && !tree.has(targetOf(file, specifier)))
      .map((specifier) => `${file} → ${specifier}`),
  );
  expect(missing).toEqual([]);
});

test('every folder of src has a row in the table', () => {
  const folders = new Set([...tree.keys()].map(topOf));
  expect([...folders].filter((folder) => !JOINING.includes(folder) && !(folder in TABLE))).toEqual([]);
});

test('folders import only what the import table allows', () => {
  expect(forbiddenImports(tree)).toEqual([]);
});

test('no top folders import each other in a circle', () => {
  expect(folderCycles(tree)).toEqual([]);
});

test('a definition in config imports only domain and the helpers of services', () => {
  const definitions = treeIn(join(SRC, '..', 'config'));
  expect(definitions.has('examples/reminder-service.ts')).toBe(true);
  const imports = [...definitions].flatMap(([file, text]) =>
    importsOf(text).map(({ specifier }) => targetOf(`config/${file}`, specifier)),
  );
  expect(imports).toContain('src/domain/service-definition.ts');
  expect(imports.filter((target) => !isWithin(target, ['src/domain', 'src/services']))).toEqual([]);
});

// The command line loads the views, and must start quickly.
test('views load nothing of the API, the desk or the routes', () => {
  const loaded = [...tree]
    .filter(([file]) => file.startsWith('operator/views/'))
    .flatMap(([file, text]) =>
      importsOf(text)
        .filter(({ specifier, isTypeOnly }) => specifier.startsWith('.') && !isTypeOnly)
        .map(({ specifier }) => targetOf(file, specifier)),
    );
  const allowed = ['operator/views', 'operator/words.ts', 'operator/run-result-words.ts'];
  expect(loaded.length).toBeGreaterThan(20);
  expect(loaded.filter((target) => !isWithin(target, allowed))).toEqual([]);
});

test('only main.ts reads process.env', () => {
  expect(readersOfTheEnvironment(tree)).toEqual([]);
});

test('no file is longer than 450 lines', () => {
  expect(longFiles(tree)).toEqual([]);
});

test('every file is named after what it exports', () => {
  expect(namelessFiles(tree)).toEqual([]);
});

const planted: [string, string, string][] = [
  ['domain to npm', 'domain/a.ts', "import pg from 'pg';"],
  ['domain to a builtin that does I/O', 'domain/a.ts', "import { readFile } from 'node:fs/promises';"],
  ['domain to the engine', 'domain/a.ts', "import type { Flags } from '../engine/ports/ports.ts';"],
  ['engine to an edge', 'engine/a.ts', "import { x } from '../storage/journal.ts';"],
  ['engine to npm', 'engine/compare/a.ts', "import equal from 'fast-deep-equal';"],
  ['engine to the outside', 'engine/a.ts', "import { x } from '../../test/support/ports.ts';"],
  [
    'service to running code of the engine',
    'services/a.ts',
    "import { decide } from '../engine/requests/decide.ts';",
  ],
  ['edge to edge', 'frontends/zmq/a.ts', "import {\n  x,\n} from '../../backends/circuit.ts';"],
  ["edge to another's library", 'frontends/a.ts', "import { Pool } from 'undici';"],
  ['a re-export', 'backends/a.ts', "export * from '../storage/seal.ts';"],
  ['a bare import', 'rollout/a.ts', "import '../telemetry/logs.ts';"],
  ['a dynamic import', 'operator/a.ts', "const x = await import('../orchestrator/service.ts');"],
  ['require', 'rollout/a.ts', "const pg = require('pg');"],
  ['the orchestrator to the journal', 'orchestrator/a.ts', "import { x } from '../storage/journal.ts';"],
  ['a folder that is not in the table', 'unknown/a.ts', "import { x } from '../domain/ids.ts';"],
  ['an edge to a root', 'storage/a.ts', "import { run } from '../main.ts';"],
];

test.each(planted)('a planted violation is found: %s', (_, file, text) => {
  expect(forbiddenImports(new Map([[file, text]]))).toHaveLength(1);
});

test.each([
  ['types of the engine', 'services/a.ts', "import type { Reply } from '../engine/ports/ports.ts';"],
  ['types by name', 'services/a.ts', "import { type Reply, type Clock } from '../engine/ports/ports.ts';"],
  ['a sibling', 'frontends/zmq/a.ts', "import { x } from '../http/b.ts';"],
  ['its own library', 'storage/a.ts', "import { PGlite } from '@electric-sql/pglite';"],
  ['a part of its library', 'orchestrator/a.ts', "import { Compile } from 'typebox/compile';"],
  ["the orchestrator's database", 'orchestrator/a.ts', "import { x } from '../storage/database.ts';"],
  ['a root', 'compose/proxy.ts', "import { x } from './storage/journal.ts';\nimport pg from 'pg';"],
])('an allowed import passes: %s', (_, file, text) => {
  expect(importsOf(text).length).toBeGreaterThan(0);
  expect(forbiddenImports(new Map([[file, text]]))).toEqual([]);
});

test('planted circles, readers of the environment, long and nameless files are found', () => {
  const circle: Tree = new Map([
    ['orchestrator/a.ts', "import { x } from '../telemetry/logs.ts';"],
    ['telemetry/logs.ts', "import type { x } from '../engine/ports/events.ts';"],
    ['engine/ports/events.ts', "export { x } from '../../orchestrator/a.ts';"],
  ]);
  expect(folderCycles(circle)).toEqual(['engine → orchestrator → telemetry → engine']);
  for (const text of [
    'const url = process.env.URL;',
    'const { env } = process;',
    "import { env } from 'node:process';",
  ])
    expect(readersOfTheEnvironment(new Map([['config/config.ts', text]]))).toEqual(['config/config.ts']);
  expect(longFiles(new Map([['domain/long.ts', 'x\n'.repeat(451)]]))).toHaveLength(1);
  expect(longFiles(new Map([['domain/long.ts', 'x\n'.repeat(450)]]))).toEqual([]);
  const named = new Map(['domain/utils.ts', 'storage/index.ts', 'a/id.ts'].map((path) => [path, '']));
  expect(namelessFiles(named)).toEqual(['domain/utils.ts', 'storage/index.ts']);
});

/** Files that cast a value through `unknown`, each with what leaves no other way. Everything else builds the whole value. */
const CASTS_THROUGH_UNKNOWN: Readonly<Record<string, string>> = {
  'src/backends/http-relay.ts': 'undici takes any async iterable, its type only a stream',
  'src/cli/config-check.ts': 'the checked configuration is what a person has typed',
  'src/operator/desk/run-changes.ts': 'a form makes the call of an endpoint that only its table knows',
  'src/rollout/evaluation.ts': 'the type of the SDK allows no undefined members, its code does',
  'test/adapters/onnx.test.ts': 'the package declares more than the adapter asks for',
  'test/adapters/vertex-server.ts': 'the package loads its services without types',
  'test/adapters/vertex.test.ts': 'the package declares more than the adapter asks for',
  'test/support/orchestrator.ts': 'sections of settings are merged by their names',
  'test/unit/orchestrator/answer-cache.test.ts': 'the rows of a query have the type that its caller names',
};

test('values are built whole, and not cast through unknown', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = globSync(['src/**/*.ts', 'test/**/*.ts', 'config/**/*.ts'], {
    cwd: root,
    exclude: ['**/node_modules'],
  });
  const cast = /\bas unknown as\b/;
  const casting = files.filter((path) => cast.test(readFileSync(join(root, path), 'utf8')));
  expect(files.length).toBeGreaterThan(500);
  expect(casting.toSorted()).toEqual(Object.keys(CASTS_THROUGH_UNKNOWN));
});
