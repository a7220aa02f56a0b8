(* Walls: a stencil that reaches beyond a side is folded into weights of cells and a constant.
   Models `fold_line` of pisnn_deploy/verify/folding.py along one axis; cells are 0 to n - 1. *)
Require Import ZArith List Lia Bool.
Import ListNotations.
Open Scope Z_scope.

Inductive side := NoFlux | Dirichlet (shown : Z).

(* A field goes on beyond a no-flux side as an even reflection, beyond a Dirichlet side as an odd one about its value.
   *)
Definition reflected (s : side) (mirror : Z) : Z := match s with NoFlux => mirror | Dirichlet g => g + g - mirror end.
Definition goes_on (n : Z) (lower upper : side) (u : Z -> Z) : Prop :=
  (forall p, p < 0 -> u p = reflected lower (u (-1 - p))) /\
  (forall p, n <= p -> u p = reflected upper (u (2 * n - 1 - p))).

(* Sign, cell and constant of a place on the line. *)
Fixpoint fold (fuel : nat) (n : Z) (lower upper : side) (p : Z) : option (Z * Z * Z) :=
  if (0 <=? p) && (p <? n) then Some (1, p, 0) else
  match fuel with
  | O => None
  | S fuel =>
    let beyond := n <=? p in
    match fold fuel n lower upper (if beyond then 2 * n - 1 - p else -1 - p), (if beyond then upper else lower) with
    | Some (sign, cell, constant), NoFlux => Some (sign, cell, constant)
    | Some (sign, cell, constant), Dirichlet g => Some (- sign, cell, g + g - constant)
    | None, _ => None
    end
  end.

Theorem fold_sound : forall fuel n lower upper u p sign cell constant, goes_on n lower upper u ->
  fold fuel n lower upper p = Some (sign, cell, constant) -> u p = sign * u cell + constant /\ 0 <= cell < n.
Proof.
  induction fuel as [|fuel IH]; intros n lower upper u p sign cell constant G H; cbn [fold] in H;
    destruct (Z.leb_spec 0 p), (Z.ltb_spec p n); cbn [andb] in H; try discriminate H;
    try (injection H as <- <- <-; lia).
  all: destruct (Z.leb_spec n p) as [B|B]; try lia.
  all: match type of H with context [fold ?f ?m ?l ?h ?q] =>
         destruct (fold f m l h q) as [[[s c] k]|] eqn:F; [|discriminate H];
         destruct (IH m l h u q s c k G F) as [E R] end.
  all: destruct G as [L U].
  all: first [rewrite (U p B); destruct upper | rewrite (L p ltac:(lia)); destruct lower];
    injection H as <- <- <-; cbn [reflected]; rewrite E; lia.
Qed.

(* A stencil: weights and places. Folding gives weights of cells and a constant, the part of the bias. *)
Definition stencil (u : Z -> Z) (l : list (Z * Z)) : Z := fold_right (fun e s => fst e * u (snd e) + s) 0 l.
Fixpoint folded (fuel : nat) (n : Z) (lower upper : side) (l : list (Z * Z)) : option (list (Z * Z) * Z) :=
  match l with
  | [] => Some ([], 0)
  | (w, p) :: t =>
    match fold fuel n lower upper p, folded fuel n lower upper t with
    | Some (sign, cell, constant), Some (cells, sum) => Some ((w * sign, cell) :: cells, w * constant + sum)
    | _, _ => None
    end
  end.
Theorem folded_sound : forall fuel n lower upper u l cells constant, goes_on n lower upper u ->
  folded fuel n lower upper l = Some (cells, constant) ->
  stencil u l = stencil u cells + constant /\ forall e, In e cells -> 0 <= snd e < n.
Proof.
  intros fuel n lower upper u l. induction l as [|[w p] t IH]; intros cells constant G H; cbn [folded] in H.
  - injection H as <- <-. split; [reflexivity|intros e []].
  - destruct (fold fuel n lower upper p) as [[[s c] k]|] eqn:F; [|discriminate H].
    destruct (folded fuel n lower upper t) as [[cs sum]|]; [|discriminate H]. injection H as <- <-.
    destruct (IH cs sum G eq_refl) as [E R]. destruct (fold_sound fuel n lower upper u p s c k G F) as [Eu Ru].
    split; [|intros e [<-|I]; [assumption|now apply R]].
    unfold stencil in *. cbn [fold_right fst snd]. rewrite E, Eu. lia.
Qed.

(* Ghost cells as averages of a parabola a + b x + c x^2 whose value at the side is a: six times the averages of the
   two nearest cells and of the ghost cell at a depth d (0 beside the side), and the weights in halves that give the
   last. *)
Definition nearest (a b c : Z) : Z := 6 * a + 3 * b + 2 * c.
Definition second (a b c : Z) : Z := 6 * a + 9 * b + 14 * c.
Definition ghost (a b c d : Z) : Z := 6 * a - 3 * b * (2 * d + 1) + 2 * c * (3 * d * d + 3 * d + 1).
Theorem parabola_is_exact : forall a b c d, 
  let v := (3 * d + 2) * (d + 1) / 2 in let w := - 2 * (2 * d + 1) - 3 * v in
  2 * ghost a b c d = (2 - w - v) * (6 * a) + w * nearest a b c + v * second a b c.
Proof.
  intros a b c d v w. assert (E : 2 * v = (3 * d + 2) * (d + 1)).
  { unfold v. destruct (Z.Even_or_Odd d) as [[k ->]|[k ->]].
    - replace ((3 * (2 * k) + 2) * (2 * k + 1)) with (((3 * k + 1) * (2 * k + 1)) * 2) by lia. rewrite Z.div_mul; lia.
    - replace ((3 * (2 * k + 1) + 2) * (2 * k + 1 + 1)) with (((6 * k + 5) * (k + 1)) * 2) by lia.
        rewrite Z.div_mul; lia. }
  unfold ghost, nearest, second, w. clearbody v. nia.
Qed.
