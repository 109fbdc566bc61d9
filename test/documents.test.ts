import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

/** Path below the repository → text. */
type Tree = ReadonlyMap<string, string>;

/** The engine's contract: it defines the numbers that other files cite. */
const CONTRACT = 'src/engine/README.md';
const DEFINED = [...numbered('I', 10), ...numbered('W', 11), ...numbered('C', 9)];

/** These read like documents of this repository, and are none. */
const NO_CITATIONS: readonly string[] = [
  'texts.md', // a property
  // Documents of the repository that the legacy services are from.
  '.product/tasks/TASK-006.md',
  'design/memory_orchestrator_api.md',
  'docs/memory_migration_guide.md',
  'main_pc_code/_DOCUMENTSFINAL/planning/memory_migration.md',
  'memory_db_schema.md',
  'memory_management_migration_plan.md',
  'memory_management_summary.md',
  'standards/error_format.md',
];

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
}

/** Definitions are list items with a bold number, and Rows of a table that begin with one. */
const definedNumbers = (contract: string): string[] =>
  [...contract.matchAll(/^(?:- \*\*|\| )([IWC]\d+)\b/gm)].flatMap(([, number]) => number ?? []);

function undefinedNumbers(tree: Tree): string[] {
  const defined = new Set(definedNumbers(tree.get(CONTRACT) ?? ''));
  return [...tree].flatMap(([file, text]) =>
    [...text.matchAll(/\b[IWC]\d{1,2}\b/g)]
      .filter(([number]) => !defined.has(number))
      .map(([number]) => `${file} cites ${number}`),
  );
}

/** The document that is meant: relative to the citing file, to the repository, or a page of the guide. */
function documentOf(tree: Tree, file: string, name: string): string | undefined {
  return tree.get(join(dirname(file), name)) ?? tree.get(join(name)) ?? tree.get(join('deploy/guide', name));
}

/** A name that begins with a digit is that of a report, and `//` is the rest of an address. */
function missingDocuments(tree: Tree): string[] {
  return [...tree].flatMap(([file, text]) =>
    [...text.matchAll(/(?<![\w./-])(?!\d|\/\/)[\w./-]+\.md\b/g)]
      .map(([name]) => name)
      .filter((name) => !NO_CITATIONS.includes(name))
      .filter((name) => documentOf(tree, file, name) === undefined)
      .map((name) => `${file} cites ${name}`),
  );
}

/** Sections are cited as `../README.md, "Life of a write"`, also over the end of a line of a comment. */
function missingSections(tree: Tree): string[] {
  return [...tree].flatMap(([file, text]) =>
    [...text.matchAll(/([\w./-]+\.md),\s+(?:(?:\*|\/\/)\s+)?"([^"]+)"/g)]
      .map(([, name = '', quoted = '']) => ({
        name,
        section: quoted.replaceAll(/\s+(?:(?:\*|\/\/)\s+)?/g, ' '),
      }))
      .filter(({ name, section }) => !headingsOf(documentOf(tree, file, name) ?? '').includes(section))
      .map(({ name, section }) => `${file} cites ${name}, "${section}"`),
  );
}

function brokenLinks(tree: Tree): string[] {
  return [...tree]
    .filter(([file]) => file.endsWith('.md'))
    .flatMap(([file, text]) =>
      [...text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
        .filter(([, path = '', anchor]) => {
          const target = path === '' ? file : join(dirname(file), path);
          if (!tree.has(target) && !existsSync(join(ROOT, target))) return true;
          return anchor !== undefined && !anchorsOf(tree.get(target) ?? '').includes(anchor);
        })
        .map(([link]) => `${file} links${link.slice(1)}`),
    );
}

/** Code is named by its path from the document's folder. */
function missingCode(tree: Tree): string[] {
  return [...tree]
    .filter(([file]) => file.startsWith('src/') && file.endsWith('.md'))
    .flatMap(([file, text]) =>
      [...text.matchAll(/`([\w./-]+\.ts)`/g)]
        .map(([, path = '']) => path)
        .filter((path) => !tree.has(join(dirname(file), path)))
        .map((path) => `${file} names ${path}`),
    );
}

/** Rows of a table that end with a title and the path of a test. */
function missingTests(tree: Tree): string[] {
  return [...tree]
    .filter(([file]) => file.endsWith('.md'))
    .flatMap(([file, text]) =>
      [...text.matchAll(/\| ([^|]+?) +\| `([\w./-]+\.test\.ts)` +\|$/gm)]
        .filter(([, title = '', path = '']) => !tree.get(join(dirname(file), path))?.includes(`'${title}'`))
        .map(([, title, path]) => `${file} names the test "${title}" of ${path}`),
    );
}

const headingsOf = (document: string): string[] =>
  [...document.matchAll(/^#+ (.+)$/gm)].flatMap(([, heading]) => heading ?? []);

/** As GitHub makes them from headings. */
const anchorsOf = (document: string): string[] =>
  headingsOf(document).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

const ROOT = join(import.meta.dirname, '..');

const files = ['src', 'test', 'config', 'flags', 'deploy', '.ci'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    // Two folders of tests have packages of their own.
    .filter((file) => !file.includes('/node_modules/')),
);

/** Recordings of others, and the planted citations below, are not the repository's words; pictures and data hold none. */
const isOurs = (file: string): boolean =>
  /\.(?:ts|mjs|md|ya?ml|sql|css|py)$/.test(file) &&
  !file.startsWith('test/fixtures/') &&
  file !== 'test/documents.test.ts';

const tree: Tree = new Map(
  [...files, 'README.md']
    .filter((file) => isOurs(file))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
);

test('the contract defines I1 to I10, W1 to W11 and C1 to C9, each once', () => {
  expect(definedNumbers(tree.get(CONTRACT) ?? '')).toEqual(DEFINED);
});

test('every number that a file cites is defined in the contract', () => {
  expect([...tree.values()].join('\n').match(/\b[IWC]\d{1,2}\b/g)?.length).toBeGreaterThan(100);
  expect(undefinedNumbers(tree)).toEqual([]);
});

test('every document that a file cites is in the repository', () => {
  expect(missingDocuments(tree)).toEqual([]);
});

test('every section that a file cites is in its document', () => {
  expect(missingSections(tree)).toEqual([]);
});

test('every link of a document leads to a file and a heading', () => {
  expect(brokenLinks(tree)).toEqual([]);
});

test('every source file that a document of src names is there', () => {
  expect(missingCode(tree)).toEqual([]);
});

test('every test that a document names by its title is there', () => {
  expect(missingTests(tree)).toEqual([]);
  const row = '| a failure | a kill loses nothing | `../../test/a.test.ts` |';
  const named = planted(CONTRACT, row);
  expect(missingTests(new Map([...named, ['test/a.test.ts', "test('a kill loses nothing', …)"]]))).toEqual(
    [],
  );
  expect(missingTests(named)).toEqual([
    `${CONTRACT} names the test "a kill loses nothing" of ../../test/a.test.ts`,
  ]);
});

const README = '# The engine\n\n## Life of a write\n\n| W1 | applied |\n- **I1** nothing is lost\n';
const planted = (file: string, text: string): Tree =>
  new Map([
    [CONTRACT, README],
    [file, text],
  ]);

test('the checks see planted citations of nothing', () => {
  const file = 'src/engine/spill/a.ts';
  expect(undefinedNumbers(planted(file, '// W1, I1 and C5 (W12).'))).toEqual([
    `${file} cites C5`,
    `${file} cites W12`,
  ]);
  expect(missingDocuments(planted(file, '// ../README.md; ./README.md, DESIGN.md: src/gone.md'))).toEqual([
    `${file} cites ./README.md`,
    `${file} cites DESIGN.md`,
    `${file} cites src/gone.md`,
  ]);
  expect(missingDocuments(planted(file, "'2026-11-20.md', https://example.org/a.md, texts.md"))).toEqual([]);
  const sections = '/** ../README.md, "Life of a\n * write": as ../README.md, "Spilling". */';
  expect(missingSections(planted(file, sections))).toEqual([`${file} cites ../README.md, "Spilling"`]);
});

test('the checks see planted links and paths to nothing', () => {
  const links =
    '[a](../engine/README.md#life-of-a-write) [b](../engine/README.md#spilling) [c](gone.ts) [d](#here)\n# Here';
  expect(brokenLinks(planted('src/orchestrator/a.md', links))).toEqual([
    'src/orchestrator/a.md links(../engine/README.md#spilling)',
    'src/orchestrator/a.md links(gone.ts)',
  ]);
  const code = '`a.ts`, `../gone/a.ts`: `x.ts.y`';
  expect(
    missingCode(new Map([...planted('src/orchestrator/b.md', code), ['src/orchestrator/a.ts', '']])),
  ).toEqual(['src/orchestrator/b.md names ../gone/a.ts']);
});
