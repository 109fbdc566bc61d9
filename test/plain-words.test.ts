import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GLOSSARY } from '../src/operator/desk/glossary.ts';
import { riddlesIn } from './support/plain-words.ts';
import {
  proseOfMarkdown,
  proseOfSql,
  proseOfYaml,
  sentencesOf,
  wordsOf,
  type Paragraph,
} from './support/prose.ts';
import { commentsOfTypeScript, proseOfTypeScript, titlesOf } from './support/source-prose.ts';
import { ROOT } from './tiers.ts';

/** What people read, and how its prose is found. Further files are added as a glob. */
const TEXTS: readonly { readonly glob: string; readonly proseOf: (text: string) => readonly Paragraph[] }[] =
  [
    { glob: 'README.md', proseOf: proseOfMarkdown },
    { glob: 'deploy/guide/*.md', proseOf: proseOfMarkdown },
    { glob: 'deploy/CHANGELOG.md', proseOf: proseOfMarkdown },
    { glob: 'src/DECISIONS.md', proseOf: proseOfMarkdown },
    { glob: 'src/*/README.md', proseOf: proseOfMarkdown },
    { glob: 'src/**/*.sql', proseOf: proseOfSql },
    { glob: '{config,deploy,flags}/*.yaml', proseOf: proseOfYaml },
  ];

/** We write for 25; a list of names may take a few more. */
const LONGEST_SENTENCE = 25;

const files = TEXTS.flatMap(({ glob, proseOf }) =>
  globSync(glob, { cwd: ROOT }).map((file) => ({ file, proseOf })),
);

function paragraphsIn(file: string, proseOf: (text: string) => readonly Paragraph[]): readonly Paragraph[] {
  return proseOf(readFileSync(join(ROOT, file), 'utf8'));
}

const tooLong = ({ text }: Paragraph, longest: number): readonly string[] =>
  sentencesOf(text)
    .filter((sentence) => wordsOf(sentence).length > longest)
    .map((sentence) => `${wordsOf(sentence).length} words: ${sentence}`);

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
    const found = paragraphs.flatMap((one) =>
      tooLong(one, LONGEST_SENTENCE).map((sentence) => `${file}:${one.line}: ${sentence}`),
    );
    expect(found).toEqual([]);
  });
});

describe('comments and strings of the source', () => {
  const textsBy = (proseOf: (source: string) => readonly Paragraph[]) =>
    globSync(['src/**/*.ts', 'config/**/*.ts'], { cwd: ROOT }).flatMap((file) =>
      proseOf(readFileSync(join(ROOT, file), 'utf8')).map((one) => ({
        ...one,
        place: `${file}:${one.line}`,
      })),
    );
  const texts = textsBy(proseOfTypeScript);

  test('are found', () => expect(texts.length).toBeGreaterThan(5_000));

  test('use the usual word, name the actor, and have one word for each thing', () => {
    const found = texts.flatMap(({ place, text }) => riddlesIn(text).map((riddle) => `${place}: ${riddle}`));
    expect(found).toEqual([]);
  });

  test(`have no comment with a sentence of more than ${LONGEST_SENTENCE} words`, () => {
    const comments = textsBy(commentsOfTypeScript);
    expect(comments.length).toBeGreaterThan(4_000);
    const found = comments.flatMap((one) =>
      tooLong(one, LONGEST_SENTENCE).map((sentence) => `${one.place}: ${sentence}`),
    );
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
    const found = titles.filter(({ text }) => text.length > LONGEST_TITLE);
    expect(found.map(({ place, text }) => `${place}: ${text.length} characters: ${text}`)).toEqual([]);
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

  test('finds a comment of SQL, and none of its statements', () => {
    const sql = '-- What nobody\n--   reads.\ncreate table anew (\n  -- Here.\n  a int -- anew\n);\n';
    expect(proseOfSql(sql)).toEqual([
      { line: 1, text: 'What nobody reads.' },
      { line: 4, text: 'Here.' },
    ]);
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

  test('finds a long sentence in a comment, and none in a diagram, a tag or code', () => {
    const words = (count: number): string => Array.from({ length: count }, () => 'one').join(' ');
    const source = [
      '/**',
      ` * ${words(20)}`,
      ` * ${words(20)}.`,
      ` *     ${words(40)}`,
      ` * ${words(20)} @throws Error ${words(20)}`,
      ' */',
      `const text = '${words(40)}';`,
    ].join('\n');
    const found = commentsOfTypeScript(source).flatMap((one) => tooLong(one, LONGEST_SENTENCE));
    expect(found).toEqual([`40 words: ${words(40)}.`]);
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
