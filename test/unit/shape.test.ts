import { expect, test } from 'vitest';
import { readSource } from '../shape/source.ts';
import { structureOf } from '../shape/structure.ts';

const sourcesOf = (texts: Readonly<Record<string, string>>) =>
  Object.entries(texts).map(([path, text]) => readSource(path, text));

test('lines of code and lines of comments are counted separately', () => {
  const text = '/** what\n * it is */\nconst a = 1; // why\n\n// alone\nconst b = "// text";\n';
  expect(readSource('a.ts', text)).toMatchObject({ lines: 6, codeLines: 2, commentLines: 3 });
});

test('imports of types, re-exports and imports for their effect are all imports', () => {
  const text = `import type { A } from './a.ts';\nexport { b } from '../b.ts';\nimport './c.ts';\nimport pg from 'pg';`;
  expect(readSource('room/x.ts', text).imports.toSorted()).toEqual(['b.ts', 'room/a.ts', 'room/c.ts']);
});

test('the largest bag is the widest object that a constructor or a factory takes', () => {
  const text = `
    interface Parts { readonly a: number; readonly b: number; readonly c: number }
    interface Port { one(): void; two(): void; three(): void; four(): void }
    interface Answer { readonly a: 1; readonly b: 2; readonly c: 3; readonly d: 4 }
    export class Engine { constructor(private parts: Parts, port: Port) {} answer(): Answer { return this.x; } }`;
  expect(structureOf(sourcesOf({ 'a.ts': text })).largestBag).toEqual({ name: 'a.ts Parts', members: 3 });
});

test('folders that import each other are one pair; the rarer direction is upwards', () => {
  const structure = structureOf(
    sourcesOf({
      'up/a.ts': "import '../down/a.ts';\nimport '../down/b.ts';",
      'down/a.ts': '',
      'down/b.ts': "import '../up/a.ts';",
    }),
  );
  expect(structure.mutualFolders).toEqual(['down <-> up']);
  expect(structure.upwardImports).toEqual(['down/b.ts -> up/a.ts']);
});

test('files that join folders and files that they share may be side by side above them', () => {
  const structure = structureOf(
    sourcesOf({
      'engine/engine.ts': "import './lane/lane.ts';",
      'engine/ports.ts': '',
      'engine/lane/lane.ts': "import '../ports.ts';",
    }),
  );
  expect(structure.mutualFolders).toEqual([]);
  expect(structure.upwardImports).toEqual([]);
  expect(structure.singleImporterFiles).toBe(2);
});
