import type { ServiceName } from '../../src/domain/ids.ts';
import type { OpenCoverage } from '../../src/engine/ports/ports.ts';

interface CoverageRow {
  readonly number: number;
  readonly service: ServiceName;
  isOpen: boolean;
  isQuiet: boolean;
}

/** The rows of `coverage`, as `storage/coverage.ts` has them. */
export class CoverageTable {
  readonly #rows: CoverageRow[] = [];

  current(service: ServiceName): OpenCoverage {
    const row = this.#open(service);
    return { number: row?.number ?? 0, isQuiet: row?.isQuiet ?? false };
  }

  begin(service: ServiceName): number {
    if (this.#open(service) === undefined)
      this.#rows.push({ number: this.#rows.length + 1, service, isOpen: true, isQuiet: false });
    return this.current(service).number;
  }

  quiet(service: ServiceName): void {
    const row = this.#open(service);
    if (row !== undefined) row.isQuiet = true;
  }

  end(service: ServiceName): boolean {
    const row = this.#open(service);
    if (row !== undefined) row.isOpen = false;
    return row !== undefined;
  }

  /** A new row for every service that has one. */
  renew(): void {
    for (const row of this.#rows.filter(({ isOpen }) => isOpen)) {
      row.isOpen = false;
      this.begin(row.service);
    }
  }

  #open(service: ServiceName): CoverageRow | undefined {
    return this.#rows.find((row) => row.service === service && row.isOpen);
  }
}
