import numpy as np

from ml4szeq.classes import EDGES, class_names, class_titles, classified


def test_two_classes_and_the_edge_itself():
    magnitude = np.array([1.0, 5.0, 7.99, 8.0, 9.5, np.nan])
    assert classified(magnitude, EDGES[2]).tolist() == [0, 0, 0, 1, 1, -1]


def test_three_classes_and_their_edges():
    magnitude = [1.0, 6.39, 6.4, 8.29, 8.3, np.nan, 9.1]
    assert classified(magnitude, EDGES[3]).tolist() == [0, 0, 1, 1, 2, -1, 2]


def test_names_lowest_first():
    assert class_names(EDGES[2]) == ("below_8", "8_up")
    assert class_names(EDGES[3]) == ("below_6.4", "6.4_to_8.3", "8.3_up")
    assert class_titles(EDGES[2]) == ("Mw < 8", "Mw ≥ 8")
    assert class_titles(EDGES[3]) == ("Mw < 6.4", "6.4 ≤ Mw < 8.3", "Mw ≥ 8.3")
