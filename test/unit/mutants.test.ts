import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EQUIVALENT_MUTANTS } from '../mutants/list/equivalent.ts';
import { MUTANTS } from '../mutants/list/mutants.ts';
import { mutated } from '../mutants/mutant.ts';

const LISTED = [...MUTANTS, ...EQUIVALENT_MUTANTS];

test('every mutant has an id of its own', () => {
  expect(new Set(LISTED.map(({ id }) => id)).size).toBe(LISTED.length);
  for (const { id } of LISTED) expect(id).toMatch(/^M\d{2,3}$/);
});

test.each(LISTED.map((mutant) => [mutant.id, mutant] as const))(
  '%s still finds the text that it replaces',
  (_id, mutant) => {
    const source = readFileSync(mutant.file, 'utf8');
    expect(mutated(source, mutant)).not.toBe(source);
  },
);

test('the commands of a mutant name tests that exist', () => {
  const files = MUTANTS.flatMap(({ commands }) => commands)
    .flatMap((command) => command.split(' '))
    .filter((word) => word.startsWith('test/'));
  expect(files.length).toBeGreaterThan(0);
  for (const file of new Set(files)) expect(() => readFileSync(file)).not.toThrow(/ENOENT/);
});

test('at least 80 mutants are spread over the engine, the stores and the services', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(80);
  const perFile = Map.groupBy(MUTANTS, ({ file }) => file);
  for (const [file, mutants] of perFile) expect(mutants.length, file).toBeLessThanOrEqual(6);
});

test('a text that occurs twice is refused, because either place could be meant', () => {
  const mutant = { id: 'M00', file: 'x.ts', search: 'a', replace: 'b' };
  expect(() => mutated('a a', mutant)).toThrow('M00: the text to replace stands 2 times in x.ts, not once');
  expect(mutated('x a $', { ...mutant, replace: '$&' })).toBe('x $& $');
});
