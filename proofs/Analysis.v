(* Interval analysis of whole programs by cases, with what it knows of equal values and of sums, and that it is sound.
   It bounds what verify/spans.py bounds by theorems on patterns: residues, kept currents,
     what is below a threshold. *)
Require Import ZArith List Lia Bool PeanoNat.
Require Import Pisnn.Firing Pisnn.Programs Pisnn.Spans.
Import ListNotations.
Open Scope Z_scope.

(* Of a value: its range, the number of a value equal to it, and the terms whose sum it is. *)
Record known := Known { range : span; twin : nat; terms : option (operand * operand) }.

Definition span_of (l : list known) (o : operand) : span :=
  match o with
  | Number z => (z, z)
  | Value n => match nth_error l n with Some e => range e | None => (0, 0) end
  end.
Definition scoped (size : nat) (o : operand) : bool := match o with Number _ => true | Value n => Nat.ltb n size end.
Definition alike (l : list known) (a b : operand) : bool :=
  match a, b with
  | Value m, Value n =>
    match nth_error l m, nth_error l n with Some e, Some f => Nat.eqb (twin e) (twin f) | _, _ => false end
  | _, _ => false
  end.
Definition copy (l : list known) (o : operand) : known :=
  match o with
  | Value n =>
    match nth_error l n with Some e => Known (range e) (twin e) None | None => Known (0, 0) (length l) None end
  | Number z => Known (z, z) (length l) None
  end.

Definition operands (o : operation) : list operand :=
  match o with
  | Neg a | Abs a | Shl a _ | Asr a _ | Table a _ | Fire a _ => [a]
  | Add a b | Sub a b | Min a b | Max a b | MulShr a b _ | Copysign a b | Less a b | NotLess a b | Same a b => [a; b]
  | Select c a b => [c; a; b]
  end.
Definition shift_allowed (o : operation) : bool :=
  match o with
  | Shl _ n | Asr _ n | MulShr _ _ n => (0 <=? n) && (n <=? 62)
  | Fire _ F => (1 <=? F) && (F <=? 62)
  | Table _ entries => match entries with [] => false | _ => true end
  | _ => true
  end.

Definition made (o : operation) (l : list known) : list known :=
  let s := span_of l in let plain r := Known r (length l) None in
  match o with
  | Add a b => [Known (add_span (s a) (s b)) (length l) (Some (a, b))]
  | Sub a b => [plain (if alike l a b then (0, 0) else sub_span (s a) (s b))]
  | Neg a => [plain (neg_span (s a))]
  | Abs a => [plain (abs_span (s a))]
  | Min a b => [plain (min_span (s a) (s b))]
  | Max a b => [plain (max_span (s a) (s b))]
  | Shl a n => [plain (shl_span n (s a))]
  | Asr a n => [plain (asr_span n (s a))]
  | MulShr a b n => [plain (asr_span n (mul_span (s a) (s b)))]
  | Copysign a b => [plain (copysign_span (s a) (s b))]
  | Less a b => [plain (lt_span (s a) (s b))]
  | NotLess a b => [plain (ge_span (s a) (s b))]
  | Same a b => [plain (eq_span (s a) (s b))]
  | Select c a b =>
    [if (fst (s c) =? 0) && (snd (s c) =? 0) then copy l b
     else if (0 <? fst (s c)) || (snd (s c) <? 0) then copy l a else plain (hull (s a) (s b))]
  | Table a entries => [plain (table_span entries (s a))]
  | Fire a F => [plain (packet_span F (s a)); Known (rest_span F (s a)) (S (length l)) None]
  end.
Definition unshifted_span (o : operation) (l : list known) : span :=
  match o with
  | MulShr a b _ => mul_span (span_of l a) (span_of l b)
  | Fire a F => add_span (abs_span (span_of l a)) (half F - 1, half F - 1)
  | _ => (0, 0)
  end.

(* Signed words of 64 bits. *)
Definition word : span := (- 2 ^ 63, 2 ^ 63 - 1).
Definition allowed (o : operation) (l : list known) : bool :=
  forallb (scoped (length l)) (operands o) && shift_allowed o && within (unshifted_span o l) word
  && forallb (fun e => within (range e) word) (made o l).

Fixpoint narrow_at (l : list known) (n : nat) (s : span) : list known :=
  match l, n with
  | [], _ => []
  | e :: t, O => Known (meet (range e) s) (twin e) (terms e) :: t
  | e :: t, S m => e :: narrow_at t m s
  end.
Definition narrow_operand (l : list known) (o : operand) (s : span) : list known :=
  match o with Value n => narrow_at l n s | Number _ => l end.
(* A sum within s narrows its terms, too: each is the sum less the other. *)
Definition narrow (l : list known) (n : nat) (s : span) : list known :=
  let m := narrow_at l n s in
  match nth_error m n with
  | Some (Known r _ (Some (a, b))) =>
    narrow_operand (narrow_operand m a (sub_span r (span_of l b))) b (sub_span r (span_of l a))
  | _ => m
  end.
Definition possible (l : list known) : bool := forallb (fun e => fst (range e) <=? snd (range e)) l.

(* The cases that a program may end in; None where an operation is not allowed or may leave a word. *)
Fixpoint analyse (program : list instruction) (l : list known) : option (list (list known)) :=
  match program with
  | [] => Some [l]
  | Do o :: t => if allowed o l then analyse t (l ++ made o l) else None
  | Cut n z :: t =>
    let below := narrow l n (fst (span_of l (Value n)), z - 1) in
    let above := narrow l n (z, snd (span_of l (Value n))) in
    match (if possible below then analyse t below else Some []),
          (if possible above then analyse t above else Some []) with
    | Some p, Some q => Some (p ++ q)
    | _, _ => None
    end
  | Limit n low high :: t => let m := narrow l n (low, high) in if possible m then analyse t m else Some []
  end.

Definition is_sum (values : list Z) (size : nat) (v : Z) (pair : option (operand * operand)) : Prop :=
  match pair with
  | None => True
  | Some (a, b) => scoped size a = true /\ scoped size b = true /\ v = look values a + look values b
  end.
Definition describes (values : list Z) (size : nat) (v : Z) (e : known) : Prop :=
  inside v (range e) /\ nth_error values (twin e) = Some v /\ is_sum values size v (terms e).
Definition agrees (values : list Z) (l : list known) : Prop :=
  length values = length l /\
  forall n v e, nth_error values n = Some v -> nth_error l n = Some e -> describes values (length l) v e.

Lemma nth_error_nth0 : forall (values : list Z) n v, nth_error values n = Some v -> nth n values 0 = v.
Proof. intros values n v H. now apply nth_error_nth. Qed.

Lemma look_inside : forall values l o, agrees values l -> inside (look values o) (span_of l o).
Proof.
  intros values l [n|z] [L A]; simpl; [|unfold inside; simpl; lia].
  destruct (nth_error l n) as [e|] eqn:E.
  - destruct (nth_error values n) as [v|] eqn:V.
    + rewrite (nth_error_nth0 _ _ _ V). now apply (A n v e).
    + apply nth_error_None in V. assert (n < length l)%nat by (apply nth_error_Some; congruence). lia.
  - apply nth_error_None in E. rewrite nth_overflow by lia. unfold inside; simpl; lia.
Qed.

Lemma look_app : forall values more size o, length values = size -> scoped size o = true ->
  look (values ++ more) o = look values o.
Proof.
  intros values more size [n|z] L S; simpl in *; [|reflexivity]. apply Nat.ltb_lt in S. apply app_nth1. lia.
Qed.

Lemma alike_equal : forall values l a b, agrees values l -> alike l a b = true -> look values a = look values b.
Proof.
  intros values l [m|] [n|] [L A] K; simpl in K; try discriminate.
  destruct (nth_error l m) as [e|] eqn:E; [|discriminate]. destruct (nth_error l n) as [f|] eqn:F; [|discriminate].
  apply Nat.eqb_eq in K.
  assert (M : (m < length values)%nat) by (rewrite L; apply nth_error_Some; congruence).
  assert (N : (n < length values)%nat) by (rewrite L; apply nth_error_Some; congruence).
  destruct (nth_error values m) as [v|] eqn:V; [|apply nth_error_None in V; lia].
  destruct (nth_error values n) as [w|] eqn:W; [|apply nth_error_None in W; lia].
  destruct (A m v e V E) as [_ [P _]]. destruct (A n w f W F) as [_ [Q _]].
  simpl. rewrite (nth_error_nth0 _ _ _ V), (nth_error_nth0 _ _ _ W). congruence.
Qed.

Lemma extend : forall values l more others, agrees values l -> length more = length others ->
  (forall k v e, nth_error more k = Some v -> nth_error others k = Some e ->
     inside v (range e) /\ nth_error (values ++ more) (twin e) = Some v /\ is_sum values (length l) v (terms e)) ->
  agrees (values ++ more) (l ++ others).
Proof.
  intros values l more others [L A] M N. split; [rewrite !app_length; lia|]. intros n v e V E.
  assert (Old : forall v pair,
    is_sum values (length l) v pair -> is_sum (values ++ more) (length (l ++ others)) v pair).
  { intros u [[a b]|] I; [|exact I]. destruct I as [P [Q R]]. unfold is_sum.
    rewrite !(look_app values more (length l)) by assumption.
    rewrite app_length. repeat split; try assumption.
    - destruct a; simpl in *; [apply Nat.ltb_lt in P; apply Nat.ltb_lt; lia|reflexivity].
    - destruct b; simpl in *; [apply Nat.ltb_lt in Q; apply Nat.ltb_lt; lia|reflexivity]. }
  unfold describes. destruct (Nat.lt_ge_cases n (length l)) as [B|B].
  - rewrite nth_error_app1 in V by lia. rewrite nth_error_app1 in E by lia.
    destruct (A n v e V E) as [P [Q R]]. repeat split; [apply P|apply P| |now apply Old].
    rewrite nth_error_app1; [assumption|]. apply nth_error_Some. congruence.
  - rewrite nth_error_app2 in V by lia. rewrite nth_error_app2 in E by lia. rewrite L in V.
    destruct (N _ v e V E) as [P [Q R]]. repeat split; [apply P|apply P|assumption|now apply Old].
Qed.

Lemma one_more : forall values l v e, agrees values l -> inside v (range e) -> is_sum values (length l) v (terms e) ->
  (twin e = length l \/ nth_error values (twin e) = Some v) -> agrees (values ++ [v]) (l ++ [e]).
Proof.
  intros values l v e A I S T. apply extend; auto. intros [|k] w f V E; simpl in V, E; [|destruct k; discriminate].
  injection V as <-. injection E as <-. repeat split; [apply I|apply I| |assumption].
  destruct A as [L _]. destruct T as [T|T].
  - rewrite T, nth_error_app2, L, Nat.sub_diag by lia. reflexivity.
  - rewrite nth_error_app1; [assumption|]. apply nth_error_Some. congruence.
Qed.

Lemma copy_more : forall values l o, agrees values l -> agrees (values ++ [look values o]) (l ++ [copy l o]).
Proof.
  intros values l o A. pose proof (look_inside values l o A) as I. destruct o as [n|z]; simpl in *.
  - destruct (nth_error l n) as [e|] eqn:E.
    + assert (N : (n < length values)%nat) by (destruct A as [-> _]; apply nth_error_Some; congruence).
      destruct (nth_error values n) as [v|] eqn:V; [|apply nth_error_None in V; lia].
      apply one_more; simpl; auto. right. rewrite (nth_error_nth0 _ _ _ V). destruct A as [_ A].
      now destruct (A n v e V E) as [_ [P _]].
    + apply one_more; simpl; auto.
  - apply one_more; simpl; auto.
Qed.

Lemma made_sound : forall o values l, agrees values l -> allowed o l = true ->
  agrees (values ++ results o values) (l ++ made o l).
Proof.
  intros o values l A W. unfold allowed in W. apply andb_true_iff in W as [W _]. apply andb_true_iff in W as [W _].
  apply andb_true_iff in W as [Scope Shift].
  pose proof (fun o => look_inside values l o A) as I.
  destruct o; simpl in Scope, Shift; cbn [results made];
    try (apply one_more; cbn [range terms twin is_sum]; auto; fail).
  - repeat rewrite andb_true_iff in Scope. apply one_more; cbn [range terms twin is_sum]; auto using add_sound.
    repeat split; tauto.
  - apply one_more; cbn [range terms twin is_sum]; auto. destruct (alike l a b) eqn:K; [|auto using sub_sound].
    rewrite (alike_equal values l a b A K). unfold inside; simpl; lia.
  - apply one_more; cbn [range terms twin is_sum]; auto using neg_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using abs_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using min_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using max_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto. apply shl_sound; [lia|auto].
  - apply one_more; cbn [range terms twin is_sum]; auto. apply asr_sound; [lia|auto].
  - apply one_more; cbn [range terms twin is_sum]; auto. apply mul_shr_sound; [lia|auto|auto].
  - apply one_more; cbn [range terms twin is_sum]; auto using copysign_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using lt_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using ge_sound.
  - apply one_more; cbn [range terms twin is_sum]; auto using eq_sound.
  - pose proof (I c) as C. unfold inside in C.
    destruct ((fst (span_of l c) =? 0) && (snd (span_of l c) =? 0)) eqn:Z0.
    + apply andb_true_iff in Z0. destruct (Z.eqb_spec (look values c) 0); [|lia]. now apply copy_more.
    + destruct ((0 <? fst (span_of l c)) || (snd (span_of l c) <? 0)) eqn:Z1.
      * apply orb_true_iff in Z1. destruct (Z.eqb_spec (look values c) 0); [lia|]. now apply copy_more.
      * apply one_more; cbn [range terms twin is_sum]; auto.
        destruct (look values c =? 0); [apply hull_right|apply hull_left]; auto.
  - apply one_more; cbn [range terms twin is_sum]; auto. apply table_sound; [intro N; subst entries;
      discriminate|auto].
  - assert (F1 : 1 <= F) by lia.
    apply (extend values l [packet F (look values a); rest F (look values a)]); auto. destruct A as [L _].
    intros [|[|k]] v e V E; simpl in V, E; [| |destruct k; discriminate]; injection V as <-; injection E as <-;
      cbn [range twin terms is_sum]; (split; [|split; [|exact Logic.I]]).
    + now apply packet_sound.
    + rewrite nth_error_app2, L, Nat.sub_diag by lia. reflexivity.
    + now apply rest_sound.
    + rewrite nth_error_app2 by lia. replace (S (length l) - length values)%nat with 1%nat by lia. reflexivity.
Qed.

Lemma unshifted_sound : forall o values l, agrees values l -> allowed o l = true -> inside (unshifted o values) word.
Proof.
  intros o values l A W. unfold allowed in W. apply andb_true_iff in W as [W _]. apply andb_true_iff in W as [_ W].
  apply (within_inside _ _ _ W). pose proof (fun o => look_inside values l o A) as I.
  destruct o; try (unfold inside; simpl; lia).
  - now apply mul_sound.
  - replace (unshifted (Fire a F) values) with (Z.abs (look values a) + (half F - 1)) by (simpl; lia).
    apply add_sound; [now apply abs_sound|]. unfold inside; simpl; lia.
Qed.

Lemma nth_error_narrow_at : forall l n s m, nth_error (narrow_at l n s) m =
  if Nat.eqb m n then option_map (fun e => Known (meet (range e) s) (twin e) (terms e)) (nth_error l m)
  else nth_error l m.
Proof.
  induction l as [|e t IH]; intros n s m; [destruct m, n; simpl; try destruct (Nat.eqb m n); reflexivity|].
  destruct n, m; simpl; try reflexivity. apply IH.
Qed.
Lemma length_narrow_at : forall l n s, length (narrow_at l n s) = length l.
Proof. induction l; destruct n; simpl; intros; auto. Qed.

Lemma narrow_at_sound : forall values l n s, agrees values l -> inside (nth n values 0) s ->
  agrees values (narrow_at l n s).
Proof.
  intros values l n s [L A] I. split; [rewrite length_narrow_at; assumption|]. intros m v e V E.
  rewrite length_narrow_at. rewrite nth_error_narrow_at in E. destruct (Nat.eqb_spec m n) as [->|];
    [|now apply (A m)].
  destruct (nth_error l n) as [f|] eqn:F; [|discriminate]. injection E as <-. destruct (A n v f V F) as [P [Q R]].
  rewrite (nth_error_nth0 _ _ _ V) in I. split; [|split]; simpl; auto using meet_inside.
Qed.

Lemma narrow_sound : forall values l n s, agrees values l -> inside (nth n values 0) s ->
  agrees values (narrow l n s).
Proof.
  intros values l n s A I. unfold narrow. pose proof (narrow_at_sound values l n s A I) as M.
  destruct (nth_error (narrow_at l n s) n) as [[r w [[a b]|]]|] eqn:E; try assumption.
  assert (D : inside (look values a + look values b) r /\ nth n values 0 = look values a + look values b).
  { destruct M as [L M]. destruct (nth_error values n) as [v|] eqn:V.
    - destruct (M n v _ V E) as [P [_ [_ [_ R]]]]. simpl in P, R. rewrite (nth_error_nth0 _ _ _ V), <- R. auto.
    - apply nth_error_None in V. assert (n < length (narrow_at l n s))%nat by (apply nth_error_Some; congruence).
        lia. }
  destruct D as [D _]. pose proof (look_inside values l a A) as Ia. pose proof (look_inside values l b A) as Ib.
  assert (Step : forall m o t, agrees values m -> inside (look values o) t -> agrees values (narrow_operand m o t)).
  { intros m [k|z] t Am It; simpl in *; [now apply narrow_at_sound|assumption]. }
  apply Step; [apply Step; [assumption|]|]; unfold sub_span, add_span, neg_span, inside in *; simpl in *; lia.
Qed.

Lemma impossible : forall values l, agrees values l -> possible l = true.
Proof.
  intros values l [L A]. apply forallb_forall. intros e H. destruct (In_nth_error _ _ H) as [n E].
  destruct (nth_error values n) as [v|] eqn:V.
  - destruct (A n v e V E) as [P _]. unfold inside in P. lia.
  - apply nth_error_None in V. assert (n < length l)%nat by (apply nth_error_Some; congruence). lia.
Qed.

(* Every run of a program that starts within the ranges ends within one of the cases. *)
Theorem analyse_sound : forall program values l cases, analyse program l = Some cases -> agrees values l ->
  limited program values -> exists c, In c cases /\ agrees (run program values) c.
Proof.
  induction program as [|[o|n z|n low high] t IH]; intros values l cases H A M;
    cbn [analyse limited run] in *.
  - injection H as <-. exists l. simpl. auto.
  - destruct (allowed o l) eqn:W; [|discriminate]. apply (IH (values ++ results o values) (l ++ made o l)); auto.
    now apply made_sound.
  - set (below := narrow l n (fst (span_of l (Value n)), z - 1)) in *.
    set (above := narrow l n (z, snd (span_of l (Value n)))) in *.
    destruct (if possible below then analyse t below else Some []) as [p|] eqn:P,
      (if possible above then analyse t above else Some []) as [q|] eqn:Q; try discriminate H.
    injection H as <-. pose proof (look_inside values l (Value n) A) as I. unfold inside in I. cbn [look] in I.
    destruct (Z.lt_ge_cases (nth n values 0) z) as [B|B].
    + assert (K : agrees values below) by (apply narrow_sound; [assumption|unfold inside; simpl in *; lia]).
      rewrite (impossible values below K) in P. destruct (IH values below p P K M) as [c [C D]].
      exists c. split; [apply in_or_app; auto|assumption].
    + assert (K : agrees values above) by (apply narrow_sound; [assumption|unfold inside; simpl in *; lia]).
      rewrite (impossible values above K) in Q. destruct (IH values above q Q K M) as [c [C D]].
      exists c. split; [apply in_or_app; auto|assumption].
  - destruct M as [B M]. assert (K : agrees values (narrow l n (low, high))) by (apply narrow_sound; assumption).
    rewrite (impossible _ _ K) in H. now apply (IH values (narrow l n (low, high))).
Qed.

(* The range of a value over all cases. *)
Fixpoint bound (cases : list (list known)) (n : nat) : span :=
  match cases with
  | [] => (0, 0)
  | [c] => span_of c (Value n)
  | c :: t => hull (span_of c (Value n)) (bound t n)
  end.
Lemma bound_sound : forall cases c values n, In c cases -> agrees values c -> inside (nth n values 0) (bound cases n).
Proof.
  induction cases as [|d t IH]; intros c values n H A; [destruct H|].
  destruct H as [->|H].
  - pose proof (look_inside values c (Value n) A) as I. destruct t; [exact I|]. apply hull_left. exact I.
  - destruct t as [|d' t']; [destruct H|]. apply hull_right. now apply (IH c).
Qed.
