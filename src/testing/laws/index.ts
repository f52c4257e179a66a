export { LawBrokenError } from '../../errors.ts';
export type { Law } from './Law.ts';
export type { ObservedSink } from './delivery/DeliveryTrial.ts';
export { deliveryLaws, type DeliveryLawOptions } from './deliveryLaws.ts';
export { operatorLaws, type OperatorLawOptions } from './operatorLaws.ts';
export { sinkLaws, type SinkLawOptions, type SinkOrStore } from './sinkLaws.ts';
export { sourceLaws, type ObservedSource, type SourceLawOptions } from './sourceLaws.ts';
export type { Time } from './time.ts';
