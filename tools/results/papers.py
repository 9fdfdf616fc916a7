"""The claims of papers that docs/results.md compares our studies with; none changed after results.

Where a paper names no density that a study has, its sparsest level decides."""

from citations import (
    AT_INIT,
    CHANNELS,
    CONNECTIVITY,
    EARLY_BIRD,
    FRANKLE_CARBIN,
    GRADUAL,
    HIDDEN,
    LESS_DATA,
    MORCOS,
    RANDOM_TICKETS,
    RENDA,
    RIGL,
    SIGNS,
    STABILIZING,
    SYNFLOW,
)
from claims import Claim, Part
from evidence import (
    all_better,
    as_good,
    better,
    channels,
    closer,
    early,
    ladder,
    of_other_sources,
    of_the_larger,
    pairs,
    slower,
    sooner,
    stable,
    untrained,
    widening,
    winning,
)

WINNING = "Tickets of less than 10 to 20 % of the network reach its accuracy in no more steps."
WIDENING = "The sparser, the later fresh weights are done and the further behind in accuracy."

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "first_ticket": (
        Claim(WINNING, f"{FRANKLE_CARBIN}, abstract", winning(4), "digits, at 13.5 %"),
        Claim(
            WIDENING, f"{FRANKLE_CARBIN}, Section 2, Figure 4", widening, "digits, rounds of 40 %"
        ),
    ),
    "lenet_fashion_mnist": (
        Claim(
            "Rounds of 20 %, 10 % in the output layer, leave 80.0, 64.1 ... 6.95 % of the weights.",
            f"{FRANKLE_CARBIN}, Figure 3",
            ladder,
        ),
        Claim(
            "At 21.1 % a ticket's early stop comes 38 % earlier than dense's.",
            f"{FRANKLE_CARBIN}, Section 2, Figure 3",
            sooner,
        ),
        Claim(
            "At 13.5 % a ticket is more than 0.3 points more accurate than dense.",
            f"{FRANKLE_CARBIN}, Section 2, Figure 3",
            lambda arms: [
                Part("imp over dense", arms.lead("imp", level=9), claimed=0.003),
            ],
        ),
        Claim(WINNING, f"{FRANKLE_CARBIN}, abstract", winning(10), "at 10.8 %"),
        Claim(
            "Only at 3.6 % is a ticket down to dense's accuracy.",
            f"{FRANKLE_CARBIN}, Section 2, Figure 3",
            lambda arms: [as_good(arms, "imp")],
            "our rounds end at 6.95 %, where it must be as good as dense",
        ),
        Claim(
            "At 21.1 % fresh weights take 2.51 times as many steps as the ticket.",
            f"{FRANKLE_CARBIN}, Section 2, Figure 4",
            slower,
        ),
        Claim(
            "At 21.1 % fresh weights are 0.5 points less accurate than the ticket.",
            f"{FRANKLE_CARBIN}, Section 2, Figure 4",
            lambda arms: [
                Part("imp over reinit", arms.lead("imp", "reinit", level=7), claimed=0.005)
            ],
        ),
        Claim(WIDENING, f"{FRANKLE_CARBIN}, Section 2, Figure 4", widening),
    ),
    "controls": (
        Claim(
            "Signs are all that fresh weights need to train as the ticket does.",
            f"{SIGNS}, abstract",
            lambda arms: [as_good(arms, "signs", "imp"), better(arms, "signs", "reinit")],
        ),
        Claim(
            "A mask made after training loses accuracy when it is shuffled or its weights are drawn"
            " anew, unlike masks made before training.",
            f"{AT_INIT}, abstract",
            lambda arms: all_better(arms, ["imp"], ["shuffled", "reinit"]),
        ),
        Claim(
            "A method that prunes after training makes use of the data: spoilt data find worse"
            " tickets.",
            f"{RANDOM_TICKETS}, abstract",
            lambda arms: all_better(arms, ["imp"], ["labels", "pixels"]),
            "the method that passes there rewinds the learning rate, ours the weights",
        ),
    ),
    "sanity_checks": (
        Claim(
            "Masks made before training are as good when shuffled within their layers.",
            f"{RANDOM_TICKETS}, abstract; {AT_INIT}, abstract",
            lambda arms: pairs(
                arms, *((f"{name}_shuffled", name) for name in ("snip", "grasp", "synflow"))
            ),
        ),
        Claim(
            "Methods that prune before training hardly use the data: what they find on spoilt data"
            " is as good.",
            f"{RANDOM_TICKETS}, abstract",
            lambda arms: pairs(
                arms,
                *((f"{of}_{how}", of) for of in ("snip", "grasp") for how in ("labels", "pixels")),
            ),
        ),
        Claim(
            "Random tickets with a smart ratio for each layer are as good as those found before"
            " training, or better.",
            f"{RANDOM_TICKETS}, abstract",
            lambda arms: pairs(arms, *(("smart", name) for name in ("snip", "grasp", "synflow"))),
        ),
        Claim(
            "SNIP, GraSP and SynFlow surpass random pruning.",
            f"{AT_INIT}, abstract",
            lambda arms: all_better(arms, ["snip", "grasp", "synflow"], ["uniform"]),
            "random: all layers alike",
        ),
    ),
    "cheap_tickets": (
        Claim(
            "SNIP, GraSP, SynFlow and magnitude before training remain below magnitude pruning"
            " after training.",
            f"{AT_INIT}, abstract",
            lambda arms: all_better(
                arms, ["imp_one_round"], ["snip", "grasp", "synflow", "magnitude"]
            ),
            "after training: one round, rewound to the initial weights",
        ),
        Claim(
            "Tickets that are found very early in training are as good as those found at its end.",
            f"{EARLY_BIRD}, abstract",
            lambda arms: [
                as_good(arms, "early_bird", "imp_one_round"),
                *early(arms, "early_bird"),
            ],
            "single weights, where the paper has channels; very early: 0.35 of a training, a bound"
            " of ours",
        ),
        Claim(
            "Gradual pruning removes nine weights of ten with a minimal loss of accuracy.",
            f"{GRADUAL}, abstract",
            lambda arms: [as_good(arms, "gradual")],
            "minimal: the study's margin",
        ),
        Claim(
            "RigL, which grows weights by gradient, is more accurate than SET, which grows them by"
            " chance.",
            f"{RIGL}; so its reproduction, https://arxiv.org/abs/2103.15767, summary",
            lambda arms: [better(arms, "rigl", "set")],
        ),
    ),
    "few_data": (
        Claim(
            "Tickets found on 35 to 78 % of the data are as good as those found on all.",
            f"{LESS_DATA}, abstract",
            lambda arms: [as_good(arms, "half", "imp")],
            "half of the data, drawn by chance; the paper chooses the examples",
        ),
    ),
    "supermask": (
        Claim(
            "Masks over weights that were never trained are far better than chance: 86 % on MNIST.",
            f"{SIGNS}, abstract",
            untrained,
            "imp's masks by the size of the trained weights; chance 10 %",
        ),
        Claim(
            "Edge-popup finds untrained subnetworks as accurate as the trained dense network.",
            f"{HIDDEN}, Figure 3, of its deeper networks",
            lambda arms: [as_good(arms, "edge_popup")],
            "LeNet is neither deep nor wide",
        ),
    ),
    "channels": (
        Claim(
            "Channel tickets drawn very early are as good as those drawn at the end of training.",
            f"{EARLY_BIRD}, abstract and method",
            channels,
            "at 50 and 30 % of the channels; very early: 0.35 of a training, a bound of ours",
        ),
        Claim(
            "Which channels are kept hardly matters, how many does: trained from scratch, any of"
            " them are as good.",
            f"{CHANNELS}, abstract",
            lambda arms: pairs(
                arms,
                ("random_50", "l1_norms_by_layer_50"),
                ("random_30", "l1_norms_by_layer_30"),
            ),
            "random channels against those with the largest L1 norms, layer by layer",
        ),
    ),
    "transfer_fashion_to_digits": (
        Claim(
            "Tickets of another data set come close to those of the data set itself.",
            f"{MORCOS}, abstract",
            lambda arms: [as_good(arms, "transfer", "self")],
            "close: the study's margin; its own have a new head too",
        ),
    ),
    "resnet_20_cifar10": (
        Claim(
            "ResNet-20 on CIFAR-10, rewound to an early step, has 91.9, 91.9, 91.7, 91.4 and 90.9 %"
            " at densities of 0.51, 0.33, 0.21, 0.134 and 0.107.",
            f"{RENDA}, the authors' data",
            here="CIFAR-10 and a GPU are not here; its 117 trainings have 30,000 steps each",
        ),
    ),
    "transfer_matrix": (
        Claim(
            "Tickets of another data set come close to those of the data set itself.",
            f"{MORCOS}, abstract",
            of_other_sources,
            "close: the study's margin",
        ),
        Claim(
            "Tickets of larger data sets transfer better than those of smaller ones.",
            f"{MORCOS}, abstract",
            lambda arms: of_the_larger(arms, "digits"),
            "large: halves of Fashion-MNIST by class; small: digits",
        ),
    ),
    "transfer_recipes": (
        Claim(
            "Tickets found with one optimizer serve another nearly as well as its own.",
            f"{MORCOS}, abstract",
            of_other_sources,
            "Adam, momentum and momentum along a cosine; nearly: the study's margin",
        ),
    ),
    "stability": (
        Claim(
            "On a small task, tickets are stable to the order of the data from step 0: their copies"
            " are joined by a line without an error barrier.",
            f"{CONNECTIVITY}, abstract",
            lambda arms: stable(arms, "imp"),
            "no barrier: less than 2 points, the paper's bound",
        ),
        Claim(
            "Copies that start later in training end closer to one another.",
            f"{STABILIZING}, abstract",
            lambda arms: closer(arms, "imp", "10%"),
            "step 100 against step 0; the paper says it of networks that have no tickets at step 0",
        ),
    ),
}

# Claims that no study here can test, and why.
ELSEWHERE: tuple[Claim, ...] = (
    Claim(
        "Conv-2, Conv-4 and Conv-6 on CIFAR-10 learn 3.5, 3.5 and 2.5 times as fast as tickets of"
        " 8.8, 9.2 and 15.1 %.",
        f"{FRANKLE_CARBIN}, Section 3, Figure 5",
        here="CIFAR-10 is not here, and 20,000 to 30,000 steps of these networks want a GPU",
    ),
    Claim(
        "Early-bird tickets of VGG-16 on CIFAR-100 have 71.81, 72.17 and 71.28 % with 10, 30 and"
        " 50 % of the channels pruned, those of whole trainings 72.62, 71.31 and 70.96 %.",
        f"{EARLY_BIRD}, the authors' data",
        here="CIFAR-100 and a GPU are not here",
    ),
    Claim(
        "VGG-16 on CIFAR-100 at a hundredth of its weights: SynFlow 63.0 %, SNIP 60.9, GraSP 60.8,"
        " magnitude 60.5, random 52.1.",
        f"{SYNFLOW}, the authors' data",
        here="CIFAR-100 and a GPU are not here",
    ),
    Claim(
        "A mask over an untrained network has 41 % on CIFAR-10.",
        f"{SIGNS}, abstract",
        here="CIFAR-10 is not here",
    ),
    Claim(
        "An untrained subnetwork of a Wide ResNet-50 matches a trained ResNet-34 on ImageNet.",
        f"{HIDDEN}, abstract",
        here="ImageNet is not here",
    ),
)
