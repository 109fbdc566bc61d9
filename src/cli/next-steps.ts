import { isLeftOut, type RunView } from './run-watch.ts';
import { counted } from './tables.ts';

/**
 * Hints printed after a reconciliation: the next command, or why nothing was compared.
 * @param isSettled whether a repair was already planned or applied
 */
export function afterReconciliation(view: RunView, isSettled: boolean): string[] {
  if (view.state !== 'finished') return [];
  const [lanes, lost] = [sumOf(view, 'lanes'), sumOf(view, 'lost')];
  const repairable = sumOf(view, 'findings') - lost;
  return [
    ...(lanes === 0 && view.request?.scope === 'changed' && !isLeftOut(view)
      ? ['  nothing to compare: no lane was written to since it was last found equal']
      : []),
    ...(repairable > 0 && !isSettled
      ? [`next: crossfade repair plan ${view.run} shows what a repair would change`]
      : []),
    ...(lost > 0
      ? [`next: crossfade lost list shows ${counted(lost, 'item')} that legacy lost: no repair touches them`]
      : []),
  ];
}

/** The sum over all services of a run. */
export function sumOf({ services }: RunView, name: string): number {
  return Object.values(services).reduce((total, counts) => total + Number(counts[name] ?? 0), 0);
}
