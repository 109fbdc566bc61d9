import { InvalidArgumentError, type Command } from 'commander';

/** The limits above which a repair is refused. */
export interface RepairLimitOptions {
  readonly limitItems?: number;
  readonly limitShare?: number;
}

/** The limits as options. Invalid values are refused before a reconciliation runs for minutes. */
export function limitOptions(command: Command): Command {
  return command
    .option('--limit-items <n>', 'maximum number of findings to repair (default: 1000)', parseItems)
    .option(
      '--limit-share <share>',
      'maximum share of the compared items to repair; 0.01 is 1 % (default: 0.005)',
      parseShare,
    );
}

/** The limits as members of the operator's API. */
export function limitsIn({ limitItems, limitShare }: RepairLimitOptions): {
  readonly limit_items?: number;
  readonly limit_share?: number;
} {
  return {
    ...(limitItems !== undefined && { limit_items: limitItems }),
    ...(limitShare !== undefined && { limit_share: limitShare }),
  };
}

function parseItems(text: string): number {
  const items = Number(text);
  if (!Number.isSafeInteger(items) || items < 1)
    throw new InvalidArgumentError(`must be a whole number of at least 1, got "${text}"`);
  return items;
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!(share > 0 && share <= 1))
    throw new InvalidArgumentError(`must be above 0 and at most 1 (all items), got "${text}"`);
  return share;
}
