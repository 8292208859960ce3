"""Awards: scholarships and concessions of students."""
