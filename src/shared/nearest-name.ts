// Allows two typing errors, or the right name with a different unit.
const NEAR = 2;
const SAME_BEGINNING = 5;

/** The most similar candidate; undefined if none is close. */
export function nearestName(key: string, candidates: readonly string[]): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(key.toLowerCase(), candidate.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  if (best !== undefined && best.distance <= NEAR) return best.candidate;
  const beginning = key.slice(0, SAME_BEGINNING).toLowerCase();
  if (beginning.length < SAME_BEGINNING) return undefined;
  return candidates.find((candidate) => candidate.toLowerCase().startsWith(beginning));
}

/** Characters to insert, remove or replace. Two swapped neighbours count as one. */
function distanceOf(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const cell = (row: number, column: number): number => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= a.length; row += 1) {
    rows.push([row]);
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = cell(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwapped ? cell(row - 2, column - 2) + 1 : Infinity;
      rows[row]?.push(Math.min(replaced, swapped, cell(row - 1, column) + 1, cell(row, column - 1) + 1));
    }
  }
  return cell(a.length, b.length);
}
