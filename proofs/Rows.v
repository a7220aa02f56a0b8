(* Rows of weights: their intervals, what differences between neighbours add, and weights as mantissas and exponents.
   Models graph/synapse.py, verify/stored.py, verify/sums.py and verify/lines.py. *)
Require Import ZArith List Lia Bool PeanoNat.
Require Import Pisnn.Programs Pisnn.Spans.
Import ListNotations.
Open Scope Z_scope.

(* A row: weights, each with the number of what it weighs. *)
Definition row := list (Z * nat).
Definition dot (f : nat -> Z) (r : row) : Z := fold_right (fun e s => fst e * f (snd e) + s) 0 r.
Definition weight (r : row) (n : nat) : Z :=
  fold_right (fun e s => (if Nat.eqb (snd e) n then fst e else 0) + s) 0 r.
Fixpoint total (n : nat) (f : nat -> Z) : Z := match n with O => 0 | S k => total k f + f k end.

Lemma total_ext : forall n f g, (forall k, (k < n)%nat -> f k = g k) -> total n f = total n g.
Proof. induction n; intros f g E; simpl; [reflexivity|]. rewrite (IHn f g), (E n); auto. Qed.
Lemma total_add : forall n f g, total n (fun k => f k + g k) = total n f + total n g.
Proof. induction n; intros; simpl; [reflexivity|]. rewrite IHn. lia. Qed.
Lemma total_zero : forall n, total n (fun _ => 0) = 0.
Proof. induction n; simpl; lia. Qed.
Lemma total_scale : forall n f a, total n (fun k => a * f k) = a * total n f.
Proof. induction n; intros; simpl; [lia|]. rewrite IHn. lia. Qed.
Lemma total_swap : forall n m (f : nat -> nat -> Z),
  total n (fun i => total m (f i)) = total m (fun j => total n (fun i => f i j)).
Proof.
  induction n; intros m f; simpl; [now rewrite total_zero|]. rewrite IHn, <- total_add. reflexivity.
Qed.
Lemma total_single : forall n i f, (i < n)%nat -> total n (fun k => (if Nat.eqb i k then f k else 0)) = f i.
Proof.
  induction n; intros i f H; [lia|]. simpl. destruct (Nat.eqb_spec i n) as [->|N].
  - rewrite (total_ext _ _ (fun _ => 0)), total_zero; [lia|]. intros k L. destruct (Nat.eqb_spec n k);
      [lia|reflexivity].
  - rewrite IHn by lia. lia.
Qed.

(* A row is the sum, over what it weighs, of its weight there. *)
Lemma dot_by_weight : forall n f r, (forall e, In e r -> (snd e < n)%nat) ->
  dot f r = total n (fun k => weight r k * f k).
Proof.
  intros n f r. induction r as [|[w i] t IH]; intros B; simpl.
  - now rewrite total_zero.
  - rewrite IH by (intros; apply B; simpl; auto).
    rewrite <- (total_single n i (fun k => w * f k)) by (apply (B (w, i)); simpl; auto).
    rewrite <- total_add. apply total_ext. intros k _. destruct (Nat.eqb i k); lia.
Qed.

(* Weights times bounds: the interval of a row holds its sum, for any values within their intervals. *)
Definition row_span (s : nat -> span) (r : row) : span :=
  fold_right (fun e t => add_span (scale (fst e) (s (snd e))) t) (0, 0) r.
Theorem row_sound : forall f s r, (forall n, inside (f n) (s n)) -> inside (dot f r) (row_span s r).
Proof.
  intros f s r H. induction r as [|e t IH]; simpl; [unfold inside; simpl; lia|].
  apply add_sound; [apply scale_sound, H|exact IH].
Qed.

(* Weights of one source count once: several synapses may join the same two neurons, as digits of a weight do. *)
Definition sum_over {A} (g : A -> Z) (l : list A) : Z := fold_right (fun x t => g x + t) 0 l.
Definition merged (r : row) : row := map (fun i => (weight r i, i)) (nodup Nat.eq_dec (map snd r)).
Lemma sum_over_single : forall A (dec : forall x y : A, {x = y} + {x <> y}) (g : A -> Z) l x, NoDup l ->
  sum_over (fun y => if dec x y then g y else 0) l = (if in_dec dec x l then g x else 0).
Proof.
  intros A dec g l x N. induction N as [|y l A' _ IH]; [reflexivity|]. cbn [sum_over fold_right].
  fold (sum_over (fun y => if dec x y then g y else 0) l). rewrite IH.
  destruct (dec x y) as [->|D], (in_dec dec _ l) as [I|I], (in_dec dec _ (_ :: l)) as [J|J]; simpl in J;
    try lia; exfalso; intuition congruence.
Qed.
Lemma sum_over_add : forall A (g h : A -> Z) l, sum_over (fun x => g x + h x) l = sum_over g l + sum_over h l.
Proof. induction l as [|x t IH]; simpl; [reflexivity|]. unfold sum_over in *. lia. Qed.
Lemma sum_over_ext : forall A (g h : A -> Z) l, (forall x, g x = h x) -> sum_over g l = sum_over h l.
Proof. intros A g h l E. induction l as [|x t IH]; simpl; [reflexivity|]. unfold sum_over in *. rewrite E. lia. Qed.
Lemma sum_over_zero : forall A (l : list A), sum_over (fun _ => 0) l = 0.
Proof. induction l; simpl; auto. Qed.
Lemma dot_of : forall g f l, dot f (map (fun i => (g i, i)) l) = sum_over (fun i => g i * f i) l.
Proof. intros g f l. induction l as [|i t IH]; simpl; [reflexivity|]. rewrite IH. reflexivity. Qed.
Theorem merged_sum : forall f r, dot f (merged r) = dot f r.
Proof.
  intros f r. unfold merged. set (ids := nodup Nat.eq_dec (map snd r)).
  assert (N : NoDup ids) by apply NoDup_nodup.
  assert (C : forall e, In e r -> In (snd e) ids) by (intros e I; apply nodup_In, in_map, I).
  rewrite (dot_of (weight r)).
  clearbody ids. induction r as [|[w j] t IH]; simpl; [apply sum_over_zero|].
  rewrite (sum_over_ext _ _ (fun i => (if Nat.eq_dec j i then w * f i else 0) + weight t i * f i)).
  2:{ intro i. destruct (Nat.eqb_spec j i), (Nat.eq_dec j i); try congruence; lia. }
  rewrite sum_over_add, sum_over_single, IH by (auto; intros; apply C; simpl; auto).
  destruct (in_dec Nat.eq_dec j ids) as [I|I]; [reflexivity|]. exfalso. apply I. apply (C (w, j)). simpl; auto.
Qed.

(* What an accumulator may reach while a row is summed in any order: the sum over any part of the row. *)
Definition scale0 (w : Z) (s : span) : span := hull (scale w s) (0, 0).
Definition partial_span (s : nat -> span) (r : row) : span :=
  fold_right (fun e t => add_span (scale0 (fst e) (s (snd e))) t) (0, 0) r.
Inductive part : row -> row -> Prop :=
| part_nil : part [] []
| part_with e p r : part p r -> part (e :: p) (e :: r)
| part_without e p r : part p r -> part p (e :: r).
Theorem partial_sound : forall f s p r, part p r -> (forall n, inside (f n) (s n)) ->
  inside (dot f p) (partial_span s r).
Proof.
  intros f s p r P H. induction P as [|e p r _ IH|e p r _ IH]; simpl; [unfold inside; simpl; lia| |].
  - apply add_sound; [apply hull_left, scale_sound, H|exact IH].
  - change (dot f p) with (0 + dot f p). apply add_sound; [apply hull_right; unfold inside; simpl; lia|exact IH].
Qed.

(* Mantissas share an exponent. A negative exponent must divide each, and then shifting the sum loses nothing. *)
Definition effective (exponent mantissa : Z) : Z :=
  if 0 <=? exponent then Z.shiftl mantissa exponent else Z.shiftr mantissa (- exponent).
Definition is_whole (exponent mantissa : Z) : bool :=
  Z.shiftl (effective exponent mantissa) (- exponent) =? mantissa.
Definition weighed (exponent : Z) (r : row) : row := map (fun e => (effective exponent (fst e), snd e)) r.
Theorem shifted_sum : forall exponent f r, forallb (fun e => is_whole exponent (fst e)) r = true ->
  effective exponent (dot f r) = dot f (weighed exponent r).
Proof.
  intros x f r W. unfold effective. destruct (Z.leb_spec 0 x) as [N|N].
  - rewrite Z.shiftl_mul_pow2 by lia. clear W. induction r as [|[m i] t IH]; simpl; [lia|].
    unfold effective at 1. destruct (Z.leb_spec 0 x); [|lia]. rewrite Z.shiftl_mul_pow2 by lia. rewrite <- IH. lia.
  - enough (E : dot f r = 2 ^ (- x) * dot f (weighed x r)).
    { rewrite E, Z.shiftr_div_pow2, Z.mul_comm, Z.div_mul by lia. reflexivity. }
    induction r as [|[m i] t IH]; simpl in *; [lia|]. apply andb_true_iff in W as [M W]. rewrite IH by assumption.
    unfold is_whole, effective in M. unfold effective at 1.
    destruct (Z.leb_spec 0 x); [lia|]. apply Z.eqb_eq in M. rewrite Z.shiftl_mul_pow2 in M by lia.
    rewrite <- M at 1. lia.
Qed.

(* Neighbours differ by at most d; a cell differs from what a reservoir beside it shows by at most half of d. An audit
   enforces both. *)
Inductive edge := Between (i j : nat) (d : Z) | Beside (i : nat) (shown d : Z).
Definition holds (f : nat -> Z) (e : edge) : Prop :=
  match e with
  | Between i j d => Z.abs (f i - f j) <= d
  | Beside i shown d => 2 * Z.abs (f i - shown) <= d
  end.
(* A row may be a sum of differences, each times a factor; twice its middle and its reach follow. *)
Definition moved (m : Z * edge) : row :=
  match m with (a, Between i j _) => [(a, i); (- a, j)] | (a, Beside i _ _) => [(a, i)] end.
Definition middle (m : Z * edge) : Z := match m with (a, Between _ _ _) => 0 | (a, Beside _ g _) => a * g end.
Definition reach (m : Z * edge) : Z :=
  match m with (a, Between _ _ d) => 2 * Z.abs a * d | (a, Beside _ _ d) => Z.abs a * d end.
Definition sum_of (g : Z * edge -> Z) (l : list (Z * edge)) : Z := fold_right (fun m s => g m + s) 0 l.
Definition opposite (r : row) : row := map (fun e => (- fst e, snd e)) r.
Definition is_zero (r : row) : bool := forallb (fun e => weight r (snd e) =? 0) r.
Definition slope_span (r : row) (l : list (Z * edge)) : option span :=
  if is_zero (r ++ opposite (flat_map moved l)) then
    Some (- ((sum_of reach l - 2 * sum_of middle l) / 2), (2 * sum_of middle l + sum_of reach l) / 2)
  else None.

Lemma dot_app : forall f p r, dot f (p ++ r) = dot f p + dot f r.
Proof. induction p as [|e t IH]; intros; simpl; [reflexivity|]. rewrite IH. lia. Qed.
Lemma dot_opposite : forall f r, dot f (opposite r) = - dot f r.
Proof. induction r as [|e t IH]; simpl; [reflexivity|]. rewrite IH. lia. Qed.
Lemma weight_absent : forall r k, (forall e, In e r -> snd e <> k) -> weight r k = 0.
Proof.
  induction r as [|e t IH]; intros k H; simpl; [reflexivity|]. rewrite IH by (intros; apply H; simpl; auto).
  destruct (Nat.eqb_spec (snd e) k) as [E|]; [|reflexivity]. exfalso. apply (H e); simpl; auto.
Qed.
Lemma zero_row : forall f r, is_zero r = true -> dot f r = 0.
Proof.
  intros f r Z0. assert (B : exists n, forall e, In e r -> (snd e < n)%nat).
  { clear Z0. induction r as [|e t [n IH]]; [exists 0%nat; intros e []|]. exists (Nat.max n (S (snd e))).
    intros d [->|D]; [lia|]. specialize (IH d D). lia. }
  destruct B as [n B]. rewrite (dot_by_weight n) by assumption. rewrite <- (total_zero n). apply total_ext.
  intros k _. unfold is_zero in Z0. rewrite forallb_forall in Z0. enough (weight r k = 0) by lia.
  destruct (in_dec Nat.eq_dec k (map snd r)) as [I|I].
  - apply in_map_iff in I as [e [<- I]]. specialize (Z0 e I). lia.
  - apply weight_absent. intros e I' <-. apply I. now apply in_map.
Qed.

(* The interval of such a row holds its sum whenever the differences are within their bounds. *)
Theorem slope_sound : forall f r l s, slope_span r l = Some s -> (forall m, In m l -> holds f (snd m)) ->
  inside (dot f r) s.
Proof.
  intros f r l s H L. unfold slope_span in H. destruct (is_zero (r ++ opposite (flat_map moved l))) eqn:Z0;
    [|discriminate].
  injection H as <-. apply (zero_row f) in Z0. rewrite dot_app, dot_opposite in Z0.
  assert (D : Z.abs (2 * dot f (flat_map moved l) - 2 * sum_of middle l) <= sum_of reach l).
  { clear Z0. induction l as [|[a e] t IH]; [unfold sum_of; simpl; lia|].
    specialize (IH (fun m I => L m (or_intror I))). pose proof (L _ (or_introl eq_refl)) as E. cbn [snd] in E.
    cbn [flat_map sum_of fold_right]. rewrite dot_app. fold (sum_of middle t) (sum_of reach t).
    enough (Z.abs (2 * dot f (moved (a, e)) - 2 * middle (a, e)) <= reach (a, e)) by lia.
    destruct e as [i j d|i g d]; cbn [holds moved middle reach dot fold_right fst snd] in *;
      pose proof (Z.mul_le_mono_nonneg_l _ _ (Z.abs a) (Z.abs_nonneg a) E) as M.
    - replace (2 * (a * f i + (- a * f j + 0)) - 2 * 0) with (2 * (a * (f i - f j))) by lia.
      rewrite !Z.abs_mul. change (Z.abs 2) with 2. lia.
    - replace (2 * (a * f i + 0) - 2 * (a * g)) with (2 * (a * (f i - g))) by lia.
      rewrite !Z.abs_mul. change (Z.abs 2) with 2. lia. }
  set (most := (2 * sum_of middle l + sum_of reach l) / 2).
  set (least := (sum_of reach l - 2 * sum_of middle l) / 2). change (- least <= dot f r <= most). subst most least.
  pose proof (Z.div_mod (sum_of reach l - 2 * sum_of middle l) 2 ltac:(lia)).
  pose proof (Z.mod_pos_bound (sum_of reach l - 2 * sum_of middle l) 2 ltac:(lia)).
  pose proof (Z.div_mod (2 * sum_of middle l + sum_of reach l) 2 ltac:(lia)).
  pose proof (Z.mod_pos_bound (2 * sum_of middle l + sum_of reach l) 2 ltac:(lia)). lia.
Qed.
