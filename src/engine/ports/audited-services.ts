import type { ServiceName } from '../../domain/ids.ts';

/** One action on several services is one audit entry, which names all of them. A filter by any of these services finds it. */
export function auditedServices<Details extends object>(
  services: readonly ServiceName[],
  details: Details,
): { readonly service: string; readonly details: Details & { readonly services?: readonly ServiceName[] } } {
  return services.length === 1
    ? { service: services[0] ?? '', details }
    : { service: services.join(', '), details: { ...details, services } };
}
