export { LawBrokenError, type Law } from './Law.ts';
export { operatorLaws, type OperatorLawOptions } from './operatorLaws.ts';
