import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GLOSSARY } from '../src/operator/desk/glossary.ts';
import { riddlesIn } from './support/plain-words.ts';
import { proseOfMarkdown, proseOfYaml, sentencesOf, wordsOf, type Paragraph } from './support/prose.ts';
import { proseOfTypeScript, titlesOf } from './support/source-prose.ts';
import { ROOT } from './tiers.ts';

/** What people read, and how its prose is found. Further files are added as a glob. */
const TEXTS: readonly { readonly glob: string; readonly proseOf: (text: string) => readonly Paragraph[] }[] =
  [
    { glob: 'README.md', proseOf: proseOfMarkdown },
    { glob: 'deploy/guide/*.md', proseOf: proseOfMarkdown },
    { glob: 'deploy/CHANGELOG.md', proseOf: proseOfMarkdown },
    { glob: 'config/*.yaml', proseOf: proseOfYaml },
  ];

/** We write for 25; a list of names may take a few more. */
const LONGEST_SENTENCE = 25;

const files = TEXTS.flatMap(({ glob, proseOf }) =>
  globSync(glob, { cwd: ROOT }).map((file) => ({ file, proseOf })),
);

function paragraphsIn(file: string, proseOf: (text: string) => readonly Paragraph[]): readonly Paragraph[] {
  return proseOf(readFileSync(join(ROOT, file), 'utf8'));
}

test('the texts that people read are found', () => {
  expect(files.length).toBeGreaterThan(20);
  for (const { file, proseOf } of files) expect(paragraphsIn(file, proseOf), file).not.toEqual([]);
});

describe.each(files)('$file', ({ file, proseOf }) => {
  const paragraphs = paragraphsIn(file, proseOf);

  test('uses the usual word, names the actor, and has one word for each thing', () => {
    const found = paragraphs.flatMap(({ line, text }) =>
      riddlesIn(text).map((riddle) => `${file}:${line}: ${riddle}`),
    );
    expect(found).toEqual([]);
  });

  test(`has no sentence of more than ${LONGEST_SENTENCE} words`, () => {
    const found = paragraphs.flatMap(({ line, text }) =>
      sentencesOf(text)
        .filter((sentence) => wordsOf(sentence).length > LONGEST_SENTENCE)
        .map((sentence) => `${file}:${line}: ${wordsOf(sentence).length} words: ${sentence}`),
    );
    expect(found).toEqual([]);
  });
});

describe('comments and strings of the source', () => {
  const texts = globSync(['src/**/*.ts', 'config/**/*.ts'], { cwd: ROOT }).flatMap((file) =>
    proseOfTypeScript(readFileSync(join(ROOT, file), 'utf8')).map(({ line, text }) => ({
      place: `${file}:${line}`,
      text,
    })),
  );

  test('are found', () => expect(texts.length).toBeGreaterThan(5_000));

  test('use the usual word, name the actor, and have one word for each thing', () => {
    const found = texts.flatMap(({ place, text }) => riddlesIn(text).map((riddle) => `${place}: ${riddle}`));
    expect(found).toEqual([]);
  });
});

/** What fits on one line of a report. */
const LONGEST_TITLE = 80;

describe('the titles of tests', () => {
  const titles = globSync('test/**/*.ts', { cwd: ROOT }).flatMap((file) =>
    titlesOf(readFileSync(join(ROOT, file), 'utf8')).map(({ line, text }) => ({
      place: `${file}:${line}`,
      text,
    })),
  );

  test('are found', () => expect(titles.length).toBeGreaterThan(2_000));

  test(`have at most ${LONGEST_TITLE} characters`, () => {
    const tooLong = titles.filter(({ text }) => text.length > LONGEST_TITLE);
    expect(tooLong.map(({ place, text }) => `${place}: ${text.length} characters: ${text}`)).toEqual([]);
  });

  test('use the usual word, and name the actor', () => {
    const found = titles.flatMap(({ place, text }) => riddlesIn(text).map((riddle) => `${place}: ${riddle}`));
    expect(found).toEqual([]);
  });
});

/** The vocabulary that code, flags, metrics, reports and documents share. */
const VOCABULARY = [
  'service',
  'backend',
  'primary',
  'secondary',
  'operation',
  'lane',
  'sequence',
  'journal',
  'delivery',
  'seeded',
  'dirty',
  'dead letter',
  'stage',
  'decision',
  'interlock',
  'comparison',
  'reconciliation',
  'cutover',
  'fallback',
  'rollback',
  'guard',
  'latch',
  'requested',
  'active',
  'mismatch',
  'difference',
  'finding',
] as const;

describe('the glossary of the README', () => {
  const [, chapter = ''] = readFileSync(join(ROOT, 'README.md'), 'utf8').split('## Words\n');
  const [table = ''] = chapter.split(/^## /m);
  const rows = [...table.matchAll(/^\| \*\*(?<words>[^*]+)\*\*[^|]*\| (?<meaning>.+?) *\|$/gm)].map(
    ({ groups }) => ({
      words: (groups?.['words'] ?? '').split(', '),
      meaning: groups?.['meaning'] ?? '',
    }),
  );
  const words = rows.flatMap((row) => row.words);

  test('has each word once', () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(words.filter((word, index) => words.indexOf(word) !== index)).toEqual([]);
  });

  test.each(VOCABULARY)('explains "%s"', (word) => expect(words).toContain(word));

  test.each(Object.keys(GLOSSARY))('explains "%s", which the desk explains', (word) =>
    expect(words).toContain(word),
  );

  test.each(rows)('$words is explained in one sentence', ({ meaning }) => {
    const [sentence = '', ...more] = proseOfMarkdown(meaning).flatMap(({ text }) => sentencesOf(text));
    expect(more).toEqual([]);
    expect(sentence).toMatch(/[.)]$/);
  });
});

describe('this test', () => {
  test('finds a riddle in prose, and none in code', () => {
    const text = 'Whoever is told\nso goes on.\n\n```sh\nput back\n```\n\n| anew | `nobody` |\n';
    expect(proseOfMarkdown(text).flatMap((one) => riddlesIn(one.text).map((riddle) => riddle.split(' (')[0])))
      // As the list of riddles has them.
      .toEqual(['"Whoever"', '"is told"', '"goes on"', '"anew"']);
  });

  test('finds a riddle in a comment, and none in a setting that is commented out', () => {
    const text = 'key: nobody\n# What is through\n# is kept.\n# nobody: anew\n  # url: nobody\n';
    expect(proseOfYaml(text)).toEqual([{ line: 2, text: 'What is through is kept.' }]);
    expect(riddlesIn('What is through is kept.')).toEqual(['"is through" (write: delivered, finished)']);
  });

  test('finds a riddle in a comment and a string of the source, and none in SQL', () => {
    const source = [
      '/** Whoever comes',
      ' * is told. */',
      "const nobody = [`It ${goes} on`, 'anew', 'It goes on', 'with found as (select anew) select'];",
      'call(); // behind',
      '// `behind` it',
    ].join('\n');
    expect(proseOfTypeScript(source)).toEqual([
      { line: 1, text: 'Whoever comes is told.' },
      { line: 4, text: 'behind § it' },
      { line: 3, text: 'It § on' },
      { line: 3, text: 'It goes on' },
    ]);
  });

  test('finds titles of every form, and no other text', () => {
    const source = [
      "test('a', () => expect(of('b')).toBe(1));",
      "describe.each(ROWS)('c $d', () => test.skipIf(isLate)(`e ${f}` + 'g', run));",
      'test(name, run);',
    ].join('\n');
    expect(titlesOf(source)).toEqual([
      { line: 1, text: 'a' },
      { line: 2, text: 'c $d' },
      { line: 2, text: 'e §g' },
    ]);
  });

  test('leaves words alone that are no riddles', () => {
    expect(
      riddlesIn('A stand-in stands for a service as long as its dead letters are listed, in order.'),
    ).toEqual([]);
  });

  test('counts the words of each sentence', () => {
    expect(sentencesOf('See `a`. It takes 5 s; then it stops. "No."')).toHaveLength(3);
    expect(wordsOf('It takes 5 s; – then § stops.')).toEqual([
      'It',
      'takes',
      '5',
      's;',
      'then',
      '§',
      'stops.',
    ]);
  });
});
