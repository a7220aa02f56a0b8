(* The language of neurons and what its operations compute.
   Models pisnn_deploy/programs/language.py and whole.py; tests compare both on random programs. *)
Require Import ZArith List Lia.
Require Import Pisnn.Firing.
Import ListNotations.
Open Scope Z_scope.

(* Values have numbers: inputs first (ports, states, parameters), then results in order. *)
Inductive operand := Value (n : nat) | Number (z : Z).

Inductive operation :=
| Add (a b : operand) | Sub (a b : operand) | Neg (a : operand) | Abs (a : operand)
| Min (a b : operand) | Max (a b : operand)
| Shl (a : operand) (n : Z) | Asr (a : operand) (n : Z) | MulShr (a b : operand) (n : Z)
| Copysign (a b : operand) | Less (a b : operand) | NotLess (a b : operand) | Same (a b : operand)
| Select (c a b : operand) | Table (a : operand) (entries : list Z) | Fire (a : operand) (F : Z).

(* A program with remarks for the analysis, which change no value: `Cut n z` analyses values n below z and from z on
   apart; `Limit n l h` says that a run stops unless value n lies from l to h (an audit enforces it). *)
Inductive instruction := Do (o : operation) | Cut (n : nat) (z : Z) | Limit (n : nat) (l h : Z).

Definition look (values : list Z) (o : operand) : Z :=
  match o with Value n => nth n values 0 | Number z => z end.
Definition truth (b : bool) : Z := if b then 1 else 0.
Definition entry (entries : list Z) (i : Z) : Z :=
  nth (Z.to_nat (Z.max 0 (Z.min i (Z.of_nat (length entries) - 1)))) entries 0.

Definition results (o : operation) (values : list Z) : list Z :=
  let v := look values in
  match o with
  | Add a b => [v a + v b]
  | Sub a b => [v a - v b]
  | Neg a => [- v a]
  | Abs a => [Z.abs (v a)]
  | Min a b => [Z.min (v a) (v b)]
  | Max a b => [Z.max (v a) (v b)]
  | Shl a n => [Z.shiftl (v a) n]
  | Asr a n => [Z.shiftr (v a) n]
  | MulShr a b n => [Z.shiftr (v a * v b) n]
  | Copysign a b => [v a * Z.sgn (v b)]
  | Less a b => [truth (v a <? v b)]
  | NotLess a b => [truth (v b <=? v a)]
  | Same a b => [truth (v a =? v b)]
  | Select c a b => [if v c =? 0 then v b else v a]
  | Table a entries => [entry entries (v a)]
  | Fire a F => [packet F (v a); rest F (v a)]
  end.

(* What an operation computes before it shifts; it must fit a word, too. *)
Definition unshifted (o : operation) (values : list Z) : Z :=
  match o with
  | MulShr a b _ => look values a * look values b
  | Fire a F => Z.abs (look values a) + half F - 1
  | _ => 0
  end.

Fixpoint run (program : list instruction) (values : list Z) : list Z :=
  match program with
  | [] => values
  | Do o :: t => run t (values ++ results o values)
  | _ :: t => run t values
  end.

(* The limits that an audit enforces hold in a step. *)
Fixpoint limited (program : list instruction) (values : list Z) : Prop :=
  match program with
  | [] => True
  | Do o :: t => limited t (values ++ results o values)
  | Cut _ _ :: t => limited t values
  | Limit n l h :: t => l <= nth n values 0 <= h /\ limited t values
  end.
