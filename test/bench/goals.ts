import { rounded } from './samples.ts';

/** What was promised of a number, and what came out. */
export interface Goal {
  readonly name: string;
  readonly goal: string;
  readonly result: number | null;
  readonly met: boolean;
}

export function atMost(name: string, limit: number, result: number): Goal {
  return { name, goal: `<= ${limit}`, result: printable(result), met: result <= limit };
}

export function atLeast(name: string, limit: number, result: number): Goal {
  return { name, goal: `>= ${limit}`, result: printable(result), met: result >= limit };
}

function printable(result: number): number | null {
  return Number.isFinite(result) ? rounded(result) : null;
}

/** Rows with aligned columns: text to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const texts = [head, ...rows].map((row) =>
    row.map((value) => (typeof value === 'number' ? numberText(value) : value)),
  );
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const isNumeric = head.map((_, column) => typeof rows[0]?.[column] === 'number');
  for (const row of texts) {
    const cells = row.map((text, column) => {
      const width = widths[column] ?? 0;
      return isNumeric[column] === true ? text.padStart(width) : text.padEnd(width);
    });
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
  process.stdout.write('\n');
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1_000 ? String(Math.round(value)) : value.toFixed(Math.abs(value) >= 100 ? 1 : 3);
}

export function printGoals(goals: readonly Goal[]): void {
  printTable(
    ['goal', 'promised', 'result', ''],
    goals.map(({ name, goal, result, met }) => [
      name,
      goal,
      String(result ?? 'not measured'),
      met ? 'met' : 'NOT MET',
    ]),
  );
}
