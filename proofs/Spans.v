(* Interval analysis of programs, and that it is sound.
   Models pisnn_deploy/programs/interval.py and verify/spans.py. *)
Require Import ZArith List Lia Bool.
Require Import Pisnn.Firing Pisnn.Programs.
Import ListNotations.
Open Scope Z_scope.

Definition span := (Z * Z)%type.
Definition inside (v : Z) (s : span) : Prop := fst s <= v <= snd s.
Definition within (s t : span) : bool := (fst t <=? fst s) && (snd s <=? snd t).
Definition hull (s t : span) : span := (Z.min (fst s) (fst t), Z.max (snd s) (snd t)).
Definition meet (s t : span) : span := (Z.max (fst s) (fst t), Z.min (snd s) (snd t)).

Lemma within_inside : forall v s t, within s t = true -> inside v s -> inside v t.
Proof. unfold within, inside. intros v s t W. apply andb_true_iff in W as [A B]. lia. Qed.
Lemma hull_left : forall v s t, inside v s -> inside v (hull s t).
Proof. unfold inside, hull. simpl. lia. Qed.
Lemma hull_right : forall v s t, inside v t -> inside v (hull s t).
Proof. unfold inside, hull. simpl. lia. Qed.
Lemma meet_inside : forall v s t, inside v s -> inside v t -> inside v (meet s t).
Proof. unfold inside, meet. simpl. lia. Qed.

(* Each operation on intervals. *)
Definition add_span (a b : span) : span := (fst a + fst b, snd a + snd b).
Definition neg_span (a : span) : span := (- snd a, - fst a).
Definition sub_span (a b : span) : span := add_span a (neg_span b).
Definition abs_span (a : span) : span := (Z.max 0 (Z.max (fst a) (- snd a)), Z.max (- fst a) (snd a)).
Definition min_span (a b : span) : span := (Z.min (fst a) (fst b), Z.min (snd a) (snd b)).
Definition max_span (a b : span) : span := (Z.max (fst a) (fst b), Z.max (snd a) (snd b)).
Definition shl_span (n : Z) (a : span) : span := (Z.shiftl (fst a) n, Z.shiftl (snd a) n).
Definition asr_span (n : Z) (a : span) : span := (Z.shiftr (fst a) n, Z.shiftr (snd a) n).
Definition scale (w : Z) (a : span) : span := if 0 <=? w then (w * fst a, w * snd a) else (w * snd a, w * fst a).
Definition mul_span (a b : span) : span := hull (scale (fst a) b) (scale (snd a) b).
Definition copysign_span (a b : span) : span :=
  let up := 0 <? snd b in let down := fst b <? 0 in let still := (fst b <=? 0) && (0 <=? snd b) in
  match up, down with
  | true, true => hull a (hull (neg_span a) (if still then (0, 0) else a))
  | true, false => if still then hull a (0, 0) else a
  | false, true => if still then hull (neg_span a) (0, 0) else neg_span a
  | false, false => (0, 0)
  end.
Definition lt_span (a b : span) : span := (truth (snd a <? fst b), truth (fst a <? snd b)).
Definition ge_span (a b : span) : span := (1 - snd (lt_span a b), 1 - fst (lt_span a b)).
Definition eq_span (a b : span) : span :=
  (truth ((fst a =? snd a) && (fst b =? snd b) && (fst a =? fst b)), truth ((fst a <=? snd b) && (fst b <=? snd a))).
Definition select_span (c a b : span) : span :=
  if (fst c =? 0) && (snd c =? 0) then b else if (0 <? fst c) || (snd c <? 0) then a else hull a b.
Fixpoint hull_of (first : Z) (others : list Z) : span :=
  match others with [] => (first, first) | x :: t => hull (x, x) (hull_of first t) end.
Definition place (entries : list Z) (i : Z) : nat := Z.to_nat (Z.max 0 (Z.min i (Z.of_nat (length entries) - 1))).
Definition table_span (entries : list Z) (a : span) : span :=
  let first := place entries (fst a) in
  hull_of (nth first entries 0) (firstn (S (place entries (snd a)) - first) (skipn first entries)).
Definition packet_span (F : Z) (a : span) : span := (packet F (fst a), packet F (snd a)).
Definition rest_span (F : Z) (a : span) : span :=
  if (packet F (fst a) =? 0) && (packet F (snd a) =? 0) then a else (- half F, half F).

Ltac spans := unfold inside in *; simpl in *; lia.

Lemma add_sound : forall x y a b, inside x a -> inside y b -> inside (x + y) (add_span a b).
Proof. intros. unfold add_span. spans. Qed.
Lemma neg_sound : forall x a, inside x a -> inside (- x) (neg_span a).
Proof. intros. unfold neg_span. spans. Qed.
Lemma sub_sound : forall x y a b, inside x a -> inside y b -> inside (x - y) (sub_span a b).
Proof. intros. unfold sub_span, add_span, neg_span. spans. Qed.
Lemma abs_sound : forall x a, inside x a -> inside (Z.abs x) (abs_span a).
Proof. intros. unfold abs_span. spans. Qed.
Lemma min_sound : forall x y a b, inside x a -> inside y b -> inside (Z.min x y) (min_span a b).
Proof. intros. unfold min_span. spans. Qed.
Lemma max_sound : forall x y a b, inside x a -> inside y b -> inside (Z.max x y) (max_span a b).
Proof. intros. unfold max_span. spans. Qed.
Lemma shiftr_mono : forall n x y, 0 <= n -> x <= y -> Z.shiftr x n <= Z.shiftr y n.
Proof. intros n x y N L. rewrite !Z.shiftr_div_pow2 by lia. apply Z.div_le_mono; [apply Z.pow_pos_nonneg|]; lia. Qed.
Lemma asr_sound : forall n x a, 0 <= n -> inside x a -> inside (Z.shiftr x n) (asr_span n a).
Proof. intros n x a N [L U]. split; simpl; apply shiftr_mono; assumption. Qed.
Lemma shl_sound : forall n x a, 0 <= n -> inside x a -> inside (Z.shiftl x n) (shl_span n a).
Proof.
  intros n x a N [L U]. unfold inside, shl_span; simpl. rewrite !Z.shiftl_mul_pow2 by lia.
  pose proof (Z.pow_pos_nonneg 2 n ltac:(lia) N). nia.
Qed.
(* A product with a constant weight, as in a row of weights. *)
Lemma scale_sound : forall w x a, inside x a -> inside (w * x) (scale w a).
Proof. intros w x a [L U]. unfold scale, inside. destruct (Z.leb_spec 0 w); simpl; nia. Qed.
Lemma mul_sound : forall x y a b, inside x a -> inside y b -> inside (x * y) (mul_span a b).
Proof.
  intros x y a b [A B] Y. pose proof (scale_sound (fst a) y b Y) as [P Q].
    pose proof (scale_sound (snd a) y b Y) as [R S].
  assert (C : fst a * y <= x * y <= snd a * y \/ snd a * y <= x * y <= fst a * y) by
    (destruct (Z.le_gt_cases 0 y); [left|right]; nia).
  unfold mul_span, hull, inside. cbn [fst snd].
  lia.
Qed.
Lemma mul_shr_sound : forall n x y a b, 0 <= n -> inside x a -> inside y b ->
  inside (Z.shiftr (x * y) n) (asr_span n (mul_span a b)).
Proof. intros. apply asr_sound, mul_sound; assumption. Qed.
Lemma copysign_sound : forall x y a b, inside x a -> inside y b -> inside (x * Z.sgn y) (copysign_span a b).
Proof.
  intros x y [l h] [m n] X Y. unfold copysign_span, neg_span, hull, inside in *. simpl in *.
  destruct (Z.ltb_spec 0 n), (Z.ltb_spec m 0), (Z.leb_spec m 0), (Z.leb_spec 0 n); simpl;
    destruct (Z.sgn_spec y) as [[S ->]|[[S ->]|[S ->]]]; lia.
Qed.
Lemma lt_sound : forall x y a b, inside x a -> inside y b -> inside (truth (x <? y)) (lt_span a b).
Proof.
  intros x y a b X Y. unfold lt_span, truth, inside in *. cbn [fst snd] in *.
  destruct (Z.ltb_spec x y), (Z.ltb_spec (snd a) (fst b)), (Z.ltb_spec (fst a) (snd b)); lia.
Qed.
Lemma ge_sound : forall x y a b, inside x a -> inside y b -> inside (truth (y <=? x)) (ge_span a b).
Proof.
  intros x y a b X Y. unfold ge_span, lt_span, truth, inside in *. cbn [fst snd] in *.
  destruct (Z.leb_spec y x), (Z.ltb_spec (snd a) (fst b)), (Z.ltb_spec (fst a) (snd b)); lia.
Qed.
Lemma eq_sound : forall x y a b, inside x a -> inside y b -> inside (truth (x =? y)) (eq_span a b).
Proof.
  intros x y a b X Y. unfold eq_span, truth, inside in *. cbn [fst snd] in *.
  destruct (Z.eqb_spec x y), (Z.eqb_spec (fst a) (snd a)), (Z.eqb_spec (fst b) (snd b)), (Z.eqb_spec (fst a) (fst b)),
    (Z.leb_spec (fst a) (snd b)), (Z.leb_spec (fst b) (snd a)); simpl; lia.
Qed.
Lemma select_sound : forall z x y c a b, inside z c -> inside x a -> inside y b ->
  inside (if z =? 0 then y else x) (select_span c a b).
Proof.
  intros z x y c a b Z0 X Y. unfold select_span, hull, inside in *.
  destruct (Z.eqb_spec z 0), (Z.eqb_spec (fst c) 0), (Z.eqb_spec (snd c) 0), (Z.ltb_spec 0 (fst c)),
    (Z.ltb_spec (snd c) 0); simpl; lia.
Qed.
Lemma hull_of_sound : forall first others x, In x others -> inside x (hull_of first others).
Proof.
  induction others as [|y t IH]; simpl; intros x [].
  - subst. apply hull_left. unfold inside; simpl; lia.
  - apply hull_right. auto.
Qed.
Lemma in_slice : forall (l : list Z) f k i, (f <= i < f + k)%nat -> (i < length l)%nat ->
  In (nth i l 0) (firstn k (skipn f l)).
Proof.
  induction l as [|x t IH]; intros f k i B L; simpl in L; [lia|].
  destruct f as [|f]; [destruct k as [|k]; [lia|]; destruct i as [|i]|destruct i as [|i]; [lia|]]; simpl.
  - now left.
  - right. apply (IH 0%nat); lia.
  - apply IH; lia.
Qed.
Lemma table_sound : forall entries i a, entries <> [] -> inside i a ->
  inside (entry entries i) (table_span entries a).
Proof.
  intros entries i a N [L U]. unfold table_span. apply hull_of_sound. unfold entry.
  fold (place entries i).
  assert (0 < length entries)%nat by (destruct entries; simpl; [congruence|lia]).
  apply in_slice; unfold place; lia.
Qed.
Lemma packet_sound : forall F v a, 1 <= F -> inside v a -> inside (packet F v) (packet_span F a).
Proof. intros F v a H [L U]. split; simpl; apply packet_is_monotone; assumption. Qed.
(* The bound of `fire`, which intervals alone do not see. *)
Lemma rest_sound : forall F v a, 1 <= F -> inside v a -> inside (rest F v) (rest_span F a).
Proof.
  intros F v a H V. unfold rest_span. destruct (Z.eqb_spec (packet F (fst a)) 0), (Z.eqb_spec (packet F (snd a)) 0);
    simpl; try (apply rest_is_bounded; assumption).
  pose proof (packet_sound F v a H V) as P. unfold packet_span, inside in P. simpl in P.
  rewrite rest_mul by assumption. replace (packet F v) with 0 by lia. unfold inside in *. lia.
Qed.
